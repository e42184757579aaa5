//! Device models and the backends behind them.
#![forbid(unsafe_code)]
