//! The profiler against a simulated device.
