//! Units and their conversion.

use crate::hub::catalogue::Scale;

/// The physical dimension of a unit. Units of the same dimension can be converted into each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dimension {
    /// Ratio, in percent.
    Ratio,
    /// Illuminance, in lux.
    Illuminance,
    /// Pressure, in kilopascals.
    Pressure,
    /// Mass in a volume, in grams per cubic metre.
    MassConcentration,
    /// Amount of substance in a volume, in moles per cubic metre.
    MolarConcentration,
    /// Power, in watts.
    Power,
    /// Velocity, in metres per second.
    Velocity,
    /// Acceleration, in metres per second squared.
    Acceleration,
    /// No dimension. The unit cannot be converted.
    None,
    /// Acidity, in pH.
    Acidity,
    /// Electric potential, in volts.
    Potential,
    /// Electric current, in amperes.
    Current,
    /// Force, in newtons.
    Force,
    /// Irradiance, in watts per square metre.
    Irradiance,
    /// Precipitation, in millimetres per hour.
    Precipitation,
    /// Length, in metres.
    Length,
    /// Mass, in kilograms.
    Mass,
    /// Flow of a volume, in cubic metres per hour.
    VolumeFlow,
    /// Volume, in litres.
    Volume,
    /// Angle, in degrees.
    Angle,
    /// Frequency, in hertz.
    Frequency,
    /// Ultraviolet index.
    Ultraviolet,
    /// Resistivity, in ohm metres.
    Resistivity,
    /// Conductivity, in siemens per metre.
    Conductivity,
    /// Loudness, in decibels.
    Loudness,
    /// A-weighted loudness, in decibels.
    WeightedLoudness,
    /// Time, in seconds.
    Time,
    /// Activity in a volume, in becquerels per cubic metre.
    Radioactivity,
    /// Energy, in joules.
    Energy,
    /// Signal strength, in decibel milliwatts.
    SignalStrength,
    /// Temperature, in degrees Celsius.
    Temperature,
    /// Apparent energy, in kilovolt-ampere hours.
    ApparentEnergy,
    /// Reactive power, in kilovolt-amperes reactive.
    ReactivePower,
    /// Magnetic flux density, in teslas.
    FluxDensity,
}

/// An entry of the catalogue of units.
#[derive(Debug, Clone, Copy)]
pub struct ScaleSpec {
    /// Name on the wire.
    pub name: &'static str,
    /// Symbol for display; empty if the unit has none.
    pub symbol: &'static str,
    /// Physical dimension.
    pub dimension: Dimension,
    /// Size of the unit in the base unit of the dimension.
    factor: f64,
    /// Zero point of the unit in the base unit of the dimension.
    zero: f64,
}

const fn unit(name: &'static str, symbol: &'static str, dimension: Dimension, factor: f64) -> ScaleSpec {
    ScaleSpec { name, symbol, dimension, factor, zero: 0.0 }
}

/// All known units: those of the vendor's guide, then those of newer sources.
///
/// Gallons are US gallons. British thermal units are those of the International Table.
pub const SCALES: &[ScaleSpec] = &[
    unit("percent", "%", Dimension::Ratio, 1.0),
    unit("parts_per_million", "ppm", Dimension::Ratio, 1e-4),
    unit("lux", "lx", Dimension::Illuminance, 1.0),
    unit("kilo_pascal", "kPa", Dimension::Pressure, 1.0),
    unit("pound_per_square_inch", "psi", Dimension::Pressure, 6.894_757_293_168),
    unit("inches_of_mercury", "inHg", Dimension::Pressure, 3.386_389),
    unit("gram_per_cubic_meter", "g/m³", Dimension::MassConcentration, 1.0),
    unit("micro_gram_per_cubic_meter", "µg/m³", Dimension::MassConcentration, 1e-6),
    unit("milli_gram_per_liter", "mg/L", Dimension::MassConcentration, 1.0),
    unit("mole_per_cubic_meter", "mol/m³", Dimension::MolarConcentration, 1.0),
    unit("watt", "W", Dimension::Power, 1.0),
    unit("btu_per_hour", "BTU/h", Dimension::Power, 0.293_071_070_17),
    unit("meter_per_second", "m/s", Dimension::Velocity, 1.0),
    unit("mile_per_hour", "mph", Dimension::Velocity, 0.447_04),
    unit("meter_per_square_second", "m/s²", Dimension::Acceleration, 1.0),
    unit("no_direction", "", Dimension::None, 1.0),
    unit("east", "E", Dimension::None, 1.0),
    unit("south", "S", Dimension::None, 1.0),
    unit("west", "W", Dimension::None, 1.0),
    unit("north", "N", Dimension::None, 1.0),
    unit("float", "", Dimension::None, 1.0),
    unit("potential_of_hydrogen", "pH", Dimension::Acidity, 1.0),
    unit("volt", "V", Dimension::Potential, 1.0),
    unit("milli_volt", "mV", Dimension::Potential, 1e-3),
    unit("ampere", "A", Dimension::Current, 1.0),
    unit("milli_ampere", "mA", Dimension::Current, 1e-3),
    unit("newton", "N", Dimension::Force, 1.0),
    unit("watt_per_square_meter", "W/m²", Dimension::Irradiance, 1.0),
    unit("milli_meter_per_hour", "mm/h", Dimension::Precipitation, 1.0),
    unit("inches_per_hour", "in/h", Dimension::Precipitation, 25.4),
    unit("meter", "m", Dimension::Length, 1.0),
    unit("feet", "ft", Dimension::Length, 0.304_8),
    unit("centi_meter", "cm", Dimension::Length, 0.01),
    unit("kilo_gram", "kg", Dimension::Mass, 1.0),
    unit("pounds", "lb", Dimension::Mass, 0.453_592_37),
    unit("cubic_meter_per_hour", "m³/h", Dimension::VolumeFlow, 1.0),
    unit("cubic_feet_per_minute", "ft³/min", Dimension::VolumeFlow, 1.699_010_795_52),
    unit("liter_per_hour", "L/h", Dimension::VolumeFlow, 1e-3),
    unit("liter", "L", Dimension::Volume, 1.0),
    unit("cubic_meter", "m³", Dimension::Volume, 1000.0),
    unit("gallons", "gal", Dimension::Volume, 3.785_411_784),
    unit("north_pole_degress", "°", Dimension::Angle, 1.0),
    unit("hertz", "Hz", Dimension::Frequency, 1.0),
    unit("kilo_hertz", "kHz", Dimension::Frequency, 1000.0),
    unit("revolutions_per_minute", "rpm", Dimension::Frequency, 1.0 / 60.0),
    unit("breaths_per_minute", "breaths/min", Dimension::Frequency, 1.0 / 60.0),
    unit("beats_per_minute", "bpm", Dimension::Frequency, 1.0 / 60.0),
    unit("mercalli", "Mercalli", Dimension::None, 1.0),
    unit("european_macroseismic", "EMS", Dimension::None, 1.0),
    unit("liedu", "Liedu", Dimension::None, 1.0),
    unit("shindo", "Shindo", Dimension::None, 1.0),
    unit("local", "ML", Dimension::None, 1.0),
    unit("moment", "MW", Dimension::None, 1.0),
    unit("surface_wave", "MS", Dimension::None, 1.0),
    unit("body_wave", "MB", Dimension::None, 1.0),
    unit("uv_index", "UV", Dimension::Ultraviolet, 1.0),
    unit("ohm_meter", "Ω·m", Dimension::Resistivity, 1.0),
    unit("siemens_per_meter", "S/m", Dimension::Conductivity, 1.0),
    unit("decibel", "dB", Dimension::Loudness, 1.0),
    unit("a_weighted_decibels", "dBA", Dimension::WeightedLoudness, 1.0),
    unit("volume_water_content", "m³/m³", Dimension::None, 1.0),
    unit("impedance", "kΩ", Dimension::None, 1.0),
    unit("water_activity", "aw", Dimension::None, 1.0),
    unit("seconds", "s", Dimension::Time, 1.0),
    unit("becquerel_per_cubic_meter", "Bq/m³", Dimension::Radioactivity, 1.0),
    unit("picocuries_per_liter", "pCi/L", Dimension::Radioactivity, 37.0),
    unit("systolic", "mmHg", Dimension::None, 1.0),
    unit("diastolic", "mmHg", Dimension::None, 1.0),
    unit("joule", "J", Dimension::Energy, 1.0),
    unit("decibel_milli_watt", "dBm", Dimension::SignalStrength, 1.0),
    unit("celsius", "°C", Dimension::Temperature, 1.0),
    ScaleSpec { zero: -160.0 / 9.0, ..unit("fahrenheit", "°F", Dimension::Temperature, 5.0 / 9.0) },
    unit("particles_per_deciliter", "1/dL", Dimension::None, 1.0),
    unit("kilo_volt_ampere_hour", "kVAh", Dimension::ApparentEnergy, 1.0),
    unit("kilo_volt_ampere_reactive", "kvar", Dimension::ReactivePower, 1.0),
    unit("amount_of_useful_energy", "", Dimension::None, 1.0),
    unit("tesla", "T", Dimension::FluxDensity, 1.0),
    unit("weber_per_square_meter", "Wb/m²", Dimension::FluxDensity, 1.0),
    unit("guass", "G", Dimension::FluxDensity, 1e-4),
];

impl Scale {
    /// Returns the catalogue entry of the unit, or `None` if the unit is unknown.
    pub fn spec(&self) -> Option<&'static ScaleSpec> {
        SCALES.iter().find(|spec| spec.name == self.as_str())
    }

    /// Returns the symbol for display, such as `°C`; empty if the unit is unknown or has no symbol.
    pub fn symbol(&self) -> &'static str {
        self.spec().map_or("", |spec| spec.symbol)
    }

    /// Converts a number from this unit to another unit.
    ///
    /// Returns `None` if the dimensions differ, or if a unit is unknown or has no dimension. A conversion to the same unit
    /// always succeeds.
    ///
    /// ```
    /// use ezlo_protocol::hub::value::Scale;
    /// assert_eq!(Scale::Celsius.convert(100.0, &Scale::Fahrenheit).map(f64::round), Some(212.0));
    /// assert_eq!(Scale::Celsius.convert(1.0, &Scale::Watt), None);
    /// ```
    pub fn convert(&self, number: f64, to: &Self) -> Option<f64> {
        if self == to {
            return Some(number);
        }
        let (from, to) = (self.spec()?, to.spec()?);
        let comparable = from.dimension == to.dimension && from.dimension != Dimension::None;
        comparable.then(|| (number.mul_add(from.factor, from.zero) - to.zero) / to.factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_catalogue_unit_has_exactly_one_entry() {
        for token in Scale::TOKENS {
            assert_eq!(SCALES.iter().filter(|spec| spec.name == *token).count(), 1, "{token}");
        }
        assert_eq!(SCALES.len(), Scale::TOKENS.len());
    }

    #[test]
    fn conversions_match_reference_values() {
        let cases = [
            (Scale::Fahrenheit, -40.0, Scale::Celsius, -40.0),
            (Scale::Fahrenheit, 212.0, Scale::Celsius, 100.0),
            (Scale::MilePerHour, 1.0, Scale::MeterPerSecond, 0.447_04),
            (Scale::CubicFeetPerMinute, 1.0, Scale::LiterPerHour, 1_699.010_795_52),
            (Scale::PicocuriesPerLiter, 4.0, Scale::BecquerelPerCubicMeter, 148.0),
            (Scale::KiloHertz, 1.0, Scale::RevolutionsPerMinute, 60_000.0),
            (Scale::Gallons, 1.0, Scale::CubicMeter, 0.003_785_411_784),
            (Scale::InchesOfMercury, 29.92, Scale::KiloPascal, 101.320_758_88),
            (Scale::Percent, 1.0, Scale::PartsPerMillion, 10_000.0),
        ];
        for (from, number, to, wanted) in cases {
            let got = from.convert(number, &to).unwrap();
            assert!((got - wanted).abs() < 1e-6 * wanted.abs().max(1.0), "{number} {from} = {got} {to}, not {wanted}");
        }
        assert_eq!(Scale::East.convert(1.0, &Scale::West), None);
        assert_eq!(Scale::from("new").convert(1.0, &Scale::from("new")), Some(1.0));
    }

    proptest! {
        #[test]
        fn conversions_are_reversible(from in 0..SCALES.len(), to in 0..SCALES.len(), number in -1e6..1e6_f64) {
            let (from, to) = (Scale::from(SCALES[from].name), Scale::from(SCALES[to].name));
            if let Some(there) = from.convert(number, &to) {
                let back = to.convert(there, &from).unwrap();
                prop_assert!((back - number).abs() <= 1e-9 * number.abs().max(1e3), "{number} {from} -> {there} {to} -> {back}");
            }
        }
    }
}
