"""One file a kind of resource, each with the same functions.

    Desired             what should exist (frozen; follows from spec and survey)
    desired(...)        spec, survey, names -> Desired                      pure
    Found               what exists, as far as it matters
    observe(aws, ...)   the cloud -> Found, or None                         reads
    diff(desired, ...)  what is wanted and what was found -> steps          pure
    remove(found)       what was found -> steps that remove it              pure
    apply(world, step)  does one step                                       writes

A new kind is a new file here, a line in `observe.py`, in `plan.py` and in `apply.py`.
"""
