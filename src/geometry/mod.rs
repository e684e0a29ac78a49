//! Positions on the sphere and on the Earth: vectors, separations, HEALPix cells, regions. Degrees come in and
//! degrees go out; radians live inside a function.

pub mod earth;
pub mod healpix;
pub mod region;
pub mod separation;
pub mod sexagesimal;
pub mod vector;
