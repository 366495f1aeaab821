"""What stands between a request and its view: how much it may cost, how often, how many at once.

Knows requests and answers, and of planning only that a question has a budget.
"""
