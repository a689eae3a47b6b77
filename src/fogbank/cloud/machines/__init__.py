"""Makes records true: the only room that starts processes. Reconciles records with reality."""
