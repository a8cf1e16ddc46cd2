"""Numbers in words, and digits from what captions say."""

WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
)
"""From 0 to 18: every digit, and every sum of two."""

YES_OR_NO = {True: "yes", False: "no"}
