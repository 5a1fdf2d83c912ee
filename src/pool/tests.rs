//! Tests of the pool on one thread that plays every role, and of its cold edges.

mod claims;
mod edges;
mod model;
mod ops;
mod release;
mod routing;
mod support;
