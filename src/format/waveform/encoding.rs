//! How samples are stored.

/// How samples are stored: the code of SEED blockette 1000 (SEED 2.4, appendix A) and miniSEED 3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Encoding(pub u8);

impl Encoding {
    /// Characters, no samples.
    pub const TEXT: Encoding = Encoding(0);
    /// 16-bit integers.
    pub const INT16: Encoding = Encoding(1);
    /// 24-bit integers.
    pub const INT24: Encoding = Encoding(2);
    /// 32-bit integers.
    pub const INT32: Encoding = Encoding(3);
    /// IEEE single precision.
    pub const FLOAT32: Encoding = Encoding(4);
    /// IEEE double precision.
    pub const FLOAT64: Encoding = Encoding(5);
    /// Steim-1 differences.
    pub const STEIM1: Encoding = Encoding(10);
    /// Steim-2 differences.
    pub const STEIM2: Encoding = Encoding(11);
    /// GEOSCOPE multiplexed, 24-bit integers.
    pub const GEOSCOPE24: Encoding = Encoding(12);
    /// GEOSCOPE, 12-bit mantissa and 3-bit gain.
    pub const GEOSCOPE16_3: Encoding = Encoding(13);
    /// GEOSCOPE, 12-bit mantissa and 4-bit gain.
    pub const GEOSCOPE16_4: Encoding = Encoding(14);
    /// CDSN, 14-bit mantissa and 2-bit gain.
    pub const CDSN: Encoding = Encoding(16);
    /// SRO, 12-bit mantissa and 4-bit gain.
    pub const SRO: Encoding = Encoding(30);
    /// DWWSSN, 16-bit integers.
    pub const DWWSSN: Encoding = Encoding(32);

    /// Whole numbers as text (GSE 2 `INT`, GSE 1 `INTV`); codes from 200 on are our own.
    pub const GSE_INT: Encoding = Encoding(200);
    /// Second differences in characters of six bits (GSE 2 `CM6`, GSE 1 `CMP6`).
    pub const GSE_CM6: Encoding = Encoding(201);
    /// Second differences in bytes (`CM8`).
    pub const GSE_CM8: Encoding = Encoding(202);
    /// Canadian compressed format (`CSF`).
    pub const GSE_CSF: Encoding = Encoding(203);
    /// Authenticated data (`AUT`, `AU6`, `AU8`).
    pub const GSE_AUTHENTICATED: Encoding = Encoding(204);
    /// Another kind of data of a GSE or IMS file.
    pub const GSE_OTHER: Encoding = Encoding(205);
    /// A data type of a wfdisc that is not read.
    pub const CSS_OTHER: Encoding = Encoding(206);

    /// Bytes of one sample where every sample has the same width.
    pub fn sample_bytes(self) -> Option<u64> {
        match self.0 {
            0 => Some(1),
            1 | 13 | 14 | 16 | 30 | 32 => Some(2),
            2 | 12 => Some(3),
            3 | 4 => Some(4),
            5 => Some(8),
            _ => None,
        }
    }

    /// Steim-1 or Steim-2.
    pub fn is_steim(self) -> bool {
        self == Encoding::STEIM1 || self == Encoding::STEIM2
    }

    /// The field's name of the encoding.
    pub fn name(self) -> &'static str {
        match self.0 {
            0 => "text",
            1 => "int16",
            2 => "int24",
            3 => "int32",
            4 => "float32",
            5 => "float64",
            10 => "Steim-1",
            11 => "Steim-2",
            12 => "GEOSCOPE 24-bit",
            13 => "GEOSCOPE 16-bit, 3-bit gain",
            14 => "GEOSCOPE 16-bit, 4-bit gain",
            16 => "CDSN 16-bit",
            30 => "SRO",
            32 => "DWWSSN",
            200 => "GSE INT",
            201 => "GSE CM6",
            202 => "GSE CM8",
            203 => "GSE CSF",
            204 => "authenticated GSE data (AUT, AU6, AU8)",
            205 => "an unknown kind of GSE data",
            206 => "a data type of a wfdisc that is not read",
            _ => "an encoding that is not read",
        }
    }
}
