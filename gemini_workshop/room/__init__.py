"""The instructor's page: live, which exercise each learner is at, and where the room is stuck.

names       exercises and mistakes in words
state       who is where, in memory
admission   the code of the room, and how often a wrong one may be tried
app         the routes
server      where it listens, and the file that is kept if asked for
page/       the page itself: one file each of HTML, CSS and JavaScript, nothing from elsewhere

What a learner's notebook sends is in gemini_workshop.exercises.core.room.
"""
