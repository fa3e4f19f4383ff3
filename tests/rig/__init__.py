"""The real parts that the tests run against: what builds, finds, starts and stops them."""
