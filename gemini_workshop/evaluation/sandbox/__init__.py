"""Run programs that nobody has read: test whether they are right, without letting them do harm.

    running --task-->  server --fork-->  judge (tests)  --calls-->   jail, inside (the program)
            <------------verdict----------------        <--values--

    running     what the rest of the package uses: Sandbox
    server      one bare Python that forks a judge for each task, and watches the clock and the memory
    judge       runs the tests, asks the program for values
    jail        gives up all that a program does not need
    inside      runs the program, answers the judge
    filters     compiles the filter of system calls that the jail loads

The jail is Linux's own: namespaces, a root of its own, limits. It is not a virtual machine: a kernel exploit can
escape it. Where it cannot be built, nothing is run, unless the caller allows that.

All but running and filters need the standard library only, so that a bare Python starts them in milliseconds. This
file imports nothing for the same reason.
"""
