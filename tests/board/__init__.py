"""Tests of ochat_eval.board."""
