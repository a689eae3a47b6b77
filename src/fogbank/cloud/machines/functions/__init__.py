"""Functions that really run: execution environments, and who gets which event.

runtime       the interpreter that functions see      runtime_api  one environment's HTTP server
environment   one environment's life                  starter      how one is put together
pool          all environments                        invoker      calls: who may run, where
provisioned   environments kept initialised           events       asynchronous events
preparation   Pending -> Active                       functions    all of it, started and stopped
"""
