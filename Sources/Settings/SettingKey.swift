// SPDX-License-Identifier: Apache-2.0
//
// SettingKey.swift
// One configuration key: everything that is known about it, and the Swift type of its value.

public import Model

/// Whether most people need to look at a key.
public enum SettingImportance: String, Sendable {
    /// Set it before going live.
    case high
    /// Worth knowing.
    case medium
    /// Rarely needed.
    case low
}

/// When a changed value takes effect.
public enum ReloadClass: String, Sendable {
    /// At once.
    case live
    /// After a restart.
    case restart
}

/// Everything that is known about a key, without its Swift type.
public struct SettingDefinition: Sendable {
    /// `section.key`.
    public let name: String
    /// Type and bounds.
    public let type: SettingType
    /// The default, written as in a file.
    public let defaultText: String
    /// Whether most people need to look at it.
    public let importance: SettingImportance
    /// When a change takes effect.
    public let reload: ReloadClass
    /// What it does, in one or two sentences.
    public let doc: String

    /// The part before the dot.
    public var section: String { String(name.prefix { $0 != "." }) }
    /// The part after the dot.
    public var key: String { String(name.drop { $0 != "." }.dropFirst()) }
}

/// A key with the Swift type of its value.
public struct SettingKey<Value: SettingConvertible>: Sendable {
    /// What the catalogue lists.
    public let definition: SettingDefinition

    init(
        _ name: String, _ type: SettingType, default defaultText: String, _ importance: SettingImportance,
        reload: ReloadClass = .restart, _ doc: String
    ) {
        self.definition = SettingDefinition(
            name: name, type: type, defaultText: defaultText, importance: importance, reload: reload, doc: doc)
    }
}

extension SettingKey where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    /// A key whose values are the cases of an enumeration.
    init(
        _ name: String, default value: Value, _ importance: SettingImportance,
        reload: ReloadClass = .restart, _ doc: String
    ) {
        self.init(
            name, .choice(Value.allCases.map(\.rawValue)), default: value.rawValue, importance, reload: reload, doc)
    }
}

/// A Swift type that values of keys can have.
public protocol SettingConvertible: Sendable {
    /// The value as this type; nil when the key's type does not fit, which is a programmer's error.
    static func from(_ value: SettingValue) -> Self?
}

extension Bool: SettingConvertible {
    /// A boolean key's value.
    public static func from(_ value: SettingValue) -> Bool? {
        if case .boolean(let value) = value { value } else { nil }
    }
}

extension Int: SettingConvertible {
    /// A number's value.
    public static func from(_ value: SettingValue) -> Int? {
        if case .integer(let value) = value { value } else { nil }
    }
}

extension ByteCount: SettingConvertible {
    /// A size's value.
    public static func from(_ value: SettingValue) -> ByteCount? {
        if case .bytes(let value) = value { value } else { nil }
    }
}

extension Duration: SettingConvertible {
    /// A time's value.
    public static func from(_ value: SettingValue) -> Duration? {
        if case .duration(let nanoseconds) = value { .nanoseconds(nanoseconds) } else { nil }
    }
}

extension String: SettingConvertible {
    /// A text's value.
    public static func from(_ value: SettingValue) -> String? {
        if case .text(let value) = value { value } else { nil }
    }
}

extension NetworkAddress: SettingConvertible {
    /// An address's value.
    public static func from(_ value: SettingValue) -> NetworkAddress? {
        if case .address(let value) = value { value } else { nil }
    }
}

extension Optional: SettingConvertible where Wrapped: SettingConvertible {
    /// An optional key's value; nil inside when it is not set.
    public static func from(_ value: SettingValue) -> Wrapped?? {
        if case .absent = value { .some(nil) } else { Wrapped.from(value).map { .some($0) } }
    }
}

extension SettingConvertible where Self: RawRepresentable, RawValue == String {
    /// A choice's value.
    public static func from(_ value: SettingValue) -> Self? {
        if case .text(let word) = value { Self(rawValue: word) } else { nil }
    }
}
