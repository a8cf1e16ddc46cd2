"""From a list of addresses to problems and solutions, politely, safely, and without loss after a kill.

In the order of work: addresses (which machines may be asked), fetching (one page), robots (what its owner allows),
extraction (its problem and solution), records (the file that grows), run (all of these).
"""
