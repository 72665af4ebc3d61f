"""The desk: what a supervisor and a worker say to each other over a socketpair.

codec   frames, pure     messages   what is said, pure     desk   either end     lent   what a worker works with
"""
