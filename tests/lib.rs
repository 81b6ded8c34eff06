//! The flows live in the integration test `all`; this package has no library of its own.
