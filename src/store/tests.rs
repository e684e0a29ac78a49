//! Whole databases: faults, flips, leases, many processes.
