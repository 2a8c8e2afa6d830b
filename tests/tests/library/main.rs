//! The library as its users have it: proxies in this process, and real servers behind them.

mod certificates;
mod example;
mod failures;
mod keys;
mod lifetime;
mod pool;
mod scene;
