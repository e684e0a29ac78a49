//! Numerical kernels for waveforms: conditioning, filters, resampling, correlation functions, peaks, quality.
//! Everything here works on slices of samples and knows neither channels nor storage.

pub mod condition;
pub mod correlate;
pub mod filter;
pub mod kernel;
pub mod peak;
pub mod quality;
pub mod resample;
