"""Operations: a spec becomes a plan becomes AWS calls.

    fogbank.yaml -> spec -> survey (what is on this disk) -> blueprint (what should exist)
                 -> observe (what exists; the only reads) -> plan (pure) -> apply (the only writes)

`kinds/` has one file a kind of resource, all with the same few functions. Everything that is
created has a name that follows from its content: the same input gives the same names, so a second
run finds everything in place and does nothing, and an interrupted run is continued by running it
again. Every resource carries the tag `fogbank:project`.
"""
