"""A whole archive of films: found, shared among workers, kept safe, gathered into tables."""
