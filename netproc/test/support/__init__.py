"""Code that tests share: test cases, fixtures, peers, child programs, certificates and scripted dialogues.

A test module imports from here, and never from another test module.
"""
