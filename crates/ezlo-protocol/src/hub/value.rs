//! Values of items and settings: their types, units, text form, and what may be written.

use serde_json::Value;

use super::item::Item;
use crate::wire::Field;

open_enum! {
    /// Type of an item's value. The vendor's guide, then newer sources.
    ValueType {
        /// Value type.
        Int = "int",
        /// Value type.
        Bool = "bool",
        /// Value type.
        Float = "float",
        /// Value type.
        String = "string",
        /// Value type.
        Dictionary = "dictionary",
        /// Value type.
        Array = "array",
        /// Value type.
        Rgb = "rgb",
        /// Value type.
        UserCode = "userCode",
        /// Value type.
        WeeklyInterval = "weekly_interval",
        /// Value type.
        DailyInterval = "daily_interval",
        /// Value type.
        Token = "token",
        /// Value type.
        ButtonState = "button_state",
        /// Value type.
        UserLockOperation = "user_lock_operation",
        /// Value type.
        SoundInfo = "sound_info",
        /// Value type.
        Illuminance = "illuminance",
        /// Value type.
        Pressure = "pressure",
        /// Value type.
        SubstanceAmount = "substance_amount",
        /// Value type.
        Power = "power",
        /// Value type.
        Velocity = "velocity",
        /// Value type.
        Acceleration = "acceleration",
        /// Value type.
        Direction = "direction",
        /// Value type.
        GeneralPurpose = "general_purpose",
        /// Value type.
        Acidity = "acidity",
        /// Value type.
        ElectricPotential = "electric_potential",
        /// Value type.
        ElectricCurrent = "electric_current",
        /// Value type.
        Force = "force",
        /// Value type.
        Irradiance = "irradiance",
        /// Value type.
        Precipitation = "precipitation",
        /// Value type.
        Length = "length",
        /// Value type.
        Mass = "mass",
        /// Value type.
        VolumeFlow = "volume_flow",
        /// Value type.
        Volume = "volume",
        /// Value type.
        Angle = "angle",
        /// Value type.
        Frequency = "frequency",
        /// Value type.
        SeismicIntensity = "seismic_intensity",
        /// Value type.
        SeismicMagnitude = "seismic_magnitude",
        /// Value type.
        Ultraviolet = "ultraviolet",
        /// Value type.
        ElectricalResistance = "electrical_resistance",
        /// Value type.
        ElectricalConductivity = "electrical_conductivity",
        /// Value type.
        Loudness = "loudness",
        /// Value type.
        Moisture = "moisture",
        /// Value type.
        Time = "time",
        /// Value type.
        RadonConcentration = "radon_concentration",
        /// Value type.
        BloodPressure = "blood_pressure",
        /// Value type.
        Energy = "energy",
        /// Value type.
        RfSignalStrength = "rf_signal_strength",
        /// Value type.
        Temperature = "temperature",
        /// Value type.
        Humidity = "humidity",
        /// Value type.
        Density = "density",
        /// Value type.
        Int64 = "int64",
        /// Value type.
        CameraStream = "cameraStream",
        /// Value type.
        UserCodeAction = "user_code_action",
        /// Value type.
        FingerprintAction = "fingerprint_action",
        /// Value type.
        Action = "action",
        /// Value type.
        IntArray = "int_array",
        /// Value type.
        DailyIntervalArray = "daily_interval_array",
        /// Value type.
        WeeklyIntervalArray = "weekly_interval_array",
        /// Value type.
        KiloVoltAmpereHour = "kilo_volt_ampere_hour",
        /// Value type.
        AmountOfUsefulEnergy = "amount_of_useful_energy",
        /// Value type.
        ReactivePowerInstant = "reactive_power_instant",
        /// Value type.
        ReactivePowerConsumption = "reactive_power_consumption",
    }
}

open_enum! {
    /// Unit of a value whose type has units. Spellings are the vendor's (`north_pole_degress`, `liedu`, `guass`).
    Scale {
        /// Unit.
        AWeightedDecibels = "a_weighted_decibels",
        /// Unit.
        Ampere = "ampere",
        /// Unit.
        BeatsPerMinute = "beats_per_minute",
        /// Unit.
        BecquerelPerCubicMeter = "becquerel_per_cubic_meter",
        /// Unit.
        BodyWave = "body_wave",
        /// Unit.
        BreathsPerMinute = "breaths_per_minute",
        /// Unit.
        BtuPerHour = "btu_per_hour",
        /// Unit.
        Celsius = "celsius",
        /// Unit.
        CentiMeter = "centi_meter",
        /// Unit.
        CubicFeetPerMinute = "cubic_feet_per_minute",
        /// Unit.
        CubicMeter = "cubic_meter",
        /// Unit.
        CubicMeterPerHour = "cubic_meter_per_hour",
        /// Unit.
        Decibel = "decibel",
        /// Unit.
        DecibelMilliWatt = "decibel_milli_watt",
        /// Unit.
        Diastolic = "diastolic",
        /// Unit.
        East = "east",
        /// Unit.
        EuropeanMacroseismic = "european_macroseismic",
        /// Unit.
        Fahrenheit = "fahrenheit",
        /// Unit.
        Feet = "feet",
        /// Unit.
        Float = "float",
        /// Unit.
        Gallons = "gallons",
        /// Unit.
        GramPerCubicMeter = "gram_per_cubic_meter",
        /// Unit.
        Hertz = "hertz",
        /// Unit.
        Impedance = "impedance",
        /// Unit.
        InchesOfMercury = "inches_of_mercury",
        /// Unit.
        InchesPerHour = "inches_per_hour",
        /// Unit.
        Joule = "joule",
        /// Unit.
        KiloGram = "kilo_gram",
        /// Unit.
        KiloHertz = "kilo_hertz",
        /// Unit.
        KiloPascal = "kilo_pascal",
        /// Unit.
        Liedu = "liedu",
        /// Unit.
        Liter = "liter",
        /// Unit.
        LiterPerHour = "liter_per_hour",
        /// Unit.
        Local = "local",
        /// Unit.
        Lux = "lux",
        /// Unit.
        Mercalli = "mercalli",
        /// Unit.
        Meter = "meter",
        /// Unit.
        MeterPerSecond = "meter_per_second",
        /// Unit.
        MeterPerSquareSecond = "meter_per_square_second",
        /// Unit.
        MicroGramPerCubicMeter = "micro_gram_per_cubic_meter",
        /// Unit.
        MilePerHour = "mile_per_hour",
        /// Unit.
        MilliAmpere = "milli_ampere",
        /// Unit.
        MilliGramPerLiter = "milli_gram_per_liter",
        /// Unit.
        MilliMeterPerHour = "milli_meter_per_hour",
        /// Unit.
        MilliVolt = "milli_volt",
        /// Unit.
        MolePerCubicMeter = "mole_per_cubic_meter",
        /// Unit.
        Moment = "moment",
        /// Unit.
        Newton = "newton",
        /// Unit.
        NoDirection = "no_direction",
        /// Unit.
        North = "north",
        /// Unit.
        NorthPoleDegress = "north_pole_degress",
        /// Unit.
        OhmMeter = "ohm_meter",
        /// Unit.
        PartsPerMillion = "parts_per_million",
        /// Unit.
        Percent = "percent",
        /// Unit.
        PicocuriesPerLiter = "picocuries_per_liter",
        /// Unit.
        PotentialOfHydrogen = "potential_of_hydrogen",
        /// Unit.
        PoundPerSquareInch = "pound_per_square_inch",
        /// Unit.
        Pounds = "pounds",
        /// Unit.
        RevolutionsPerMinute = "revolutions_per_minute",
        /// Unit.
        Seconds = "seconds",
        /// Unit.
        Shindo = "shindo",
        /// Unit.
        SiemensPerMeter = "siemens_per_meter",
        /// Unit.
        South = "south",
        /// Unit.
        SurfaceWave = "surface_wave",
        /// Unit.
        Systolic = "systolic",
        /// Unit.
        UvIndex = "uv_index",
        /// Unit.
        Volt = "volt",
        /// Unit.
        VolumeWaterContent = "volume_water_content",
        /// Unit.
        WaterActivity = "water_activity",
        /// Unit.
        Watt = "watt",
        /// Unit.
        WattPerSquareMeter = "watt_per_square_meter",
        /// Unit.
        West = "west",
        /// Unit.
        ParticlesPerDeciliter = "particles_per_deciliter",
        /// Unit.
        KiloVoltAmpereHour = "kilo_volt_ampere_hour",
        /// Unit.
        KiloVoltAmpereReactive = "kilo_volt_ampere_reactive",
        /// Unit.
        AmountOfUsefulEnergy = "amount_of_useful_energy",
        /// Unit.
        Guass = "guass",
        /// Unit.
        Tesla = "tesla",
        /// Unit.
        WeberPerSquareMeter = "weber_per_square_meter",
    }
}

/// What shape the JSON of a value type has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// Text.
    Text,
    /// An object.
    Object,
    /// An array.
    Array,
    /// Not described anywhere.
    Unknown,
}

impl ValueType {
    /// What shape its JSON has. Types with units are bare numbers; the unit stands beside the value.
    pub const fn shape(&self) -> Shape {
        match self {
            Self::Int | Self::Int64 => Shape::Integer,
            Self::Bool => Shape::Bool,
            Self::String | Self::Token => Shape::Text,
            Self::Dictionary
            | Self::Rgb
            | Self::UserCode
            | Self::WeeklyInterval
            | Self::DailyInterval
            | Self::ButtonState
            | Self::UserLockOperation
            | Self::SoundInfo
            | Self::CameraStream => Shape::Object,
            Self::Array | Self::IntArray | Self::DailyIntervalArray | Self::WeeklyIntervalArray => Shape::Array,
            Self::UserCodeAction | Self::FingerprintAction | Self::Action | Self::Unknown(_) => Shape::Unknown,
            _ => Shape::Number,
        }
    }

    /// The text form that hubs send as `valueFormatted`: whole numbers as digits, other numbers with two decimals, no unit.
    pub fn format(&self, value: &Value) -> String {
        match (self.shape(), value) {
            (_, Value::String(text)) => text.clone(),
            (_, Value::Bool(flag)) => flag.to_string(),
            (Shape::Number, Value::Number(number)) => format!("{:.2}", number.as_f64().unwrap_or_default()),
            (_, Value::Number(number)) => number.to_string(),
            _ => String::new(),
        }
    }
}

wire! {
    /// A value with its type and unit beside it: how the vendor's guide prints values, and elements of dictionaries.
    TypedValue {
        /// Type of the value.
        value_type: Field<ValueType> = "valueType",
        /// Type of the value, under the name that four of the guide's samples have.
        kind: Field<ValueType> = "type",
        /// Type of the elements of a dictionary or array.
        element_type: Field<String> = "elementType",
        /// The value.
        value: Field<Value> = "value",
        /// The unit.
        scale: Field<Scale> = "scale",
        /// Allowed tokens.
        tokens: Field<Vec<String>> = "enum",
    }
}

/// Why an item does not take a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// The item has no setter.
    #[error("the item cannot be set")]
    NoSetter,
    /// The JSON is of another type.
    #[error("the value has the wrong type")]
    WrongType,
    /// The token is not in the item's list.
    #[error("the token is not one of the item's")]
    UnknownToken,
    /// Below the least or above the greatest value.
    #[error("the value is out of range")]
    OutOfRange,
}

impl Item {
    /// Whether the item takes that value; the same rule on both sides of the wire.
    ///
    /// Null is never written. A type whose shape nobody describes takes anything.
    pub fn check(&self, value: &Value) -> Result<(), ValueError> {
        if self.has_setter.get() == Some(&false) {
            return Err(ValueError::NoSetter);
        }
        let shape = self.value_type.get().map_or(Shape::Unknown, ValueType::shape);
        let fits = match shape {
            Shape::Integer => value.is_i64() || value.is_u64(),
            Shape::Number => value.is_number(),
            Shape::Bool => value.is_boolean(),
            Shape::Text => value.is_string(),
            Shape::Object => value.is_object(),
            Shape::Array => value.is_array(),
            Shape::Unknown => !value.is_null(),
        };
        if !fits {
            return Err(ValueError::WrongType);
        }
        self.check_token(value)?;
        self.check_range(value)
    }

    fn check_token(&self, value: &Value) -> Result<(), ValueError> {
        let (Some(ValueType::Token), Some(tokens)) = (self.value_type.get(), self.tokens.get()) else { return Ok(()) };
        let known = value.as_str().is_some_and(|token| tokens.iter().any(|known| known == token));
        if known { Ok(()) } else { Err(ValueError::UnknownToken) }
    }

    fn check_range(&self, value: &Value) -> Result<(), ValueError> {
        let Some(number) = value.as_f64() else { return Ok(()) };
        let low = self.minimum().is_some_and(|minimum| number < minimum);
        let high = self.maximum().is_some_and(|maximum| number > maximum);
        if low || high { Err(ValueError::OutOfRange) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;
    use serde_json::json;

    fn item(json: Value) -> Item {
        wire::from_value(&json).unwrap()
    }

    #[test]
    fn text_forms_follow_the_captures() {
        assert_eq!(ValueType::Bool.format(&json!(true)), "true");
        assert_eq!(ValueType::Int.format(&json!(0)), "0");
        assert_eq!(ValueType::Float.format(&json!(0)), "0.00");
        assert_eq!(ValueType::Temperature.format(&json!(21.456)), "21.46");
        assert_eq!(ValueType::Token.format(&json!("secured")), "secured");
        assert_eq!(ValueType::Dictionary.format(&json!({})), "");
    }

    #[test]
    fn writes_are_checked_by_type_token_and_range() {
        let dimmer = item(json!({"_id":"a","valueType":"int","hasSetter":true,"minValue":0,"valueMax":{"value":100}}));
        assert_eq!(dimmer.check(&json!(50)), Ok(()));
        assert_eq!(dimmer.check(&json!(101)), Err(ValueError::OutOfRange));
        assert_eq!(dimmer.check(&json!(-1)), Err(ValueError::OutOfRange));
        assert_eq!(dimmer.check(&json!(1.5)), Err(ValueError::WrongType));
        assert_eq!(dimmer.check(&json!("50")), Err(ValueError::WrongType));
        let lock = item(json!({"_id":"b","valueType":"token","enum":["secured","unsecured"]}));
        assert_eq!(lock.check(&json!("secured")), Ok(()));
        assert_eq!(lock.check(&json!("open")), Err(ValueError::UnknownToken));
        let sensor = item(json!({"_id":"c","valueType":"bool","hasSetter":false}));
        assert_eq!(sensor.check(&json!(true)), Err(ValueError::NoSetter));
    }

    #[test]
    fn unknown_types_and_units_survive() {
        let text = r#"{"_id":"a","valueType":"new_type","value":{"x":1},"scale":"new_scale"}"#;
        let item: Item = wire::from_slice(text.as_bytes()).unwrap();
        assert_eq!(wire::to_value(&item).to_string(), text);
        assert_eq!(item.check(&json!({"y": 2})), Ok(()));
    }
}
