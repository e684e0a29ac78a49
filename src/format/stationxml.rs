//! stationxml
