// SPDX-License-Identifier: Apache-2.0
//
// SettingType.swift
// The types a configuration key can have, and how their values are written.

public import Model

/// What kind of value a key takes, with its bounds.
public enum SettingType: Sendable, Equatable {
    /// `true` or `false`.
    case boolean
    /// A whole number.
    case integer(ClosedRange<Int>)
    /// A size with its unit, as `64 MiB`; without a unit it counts bytes.
    case bytes(ClosedRange<Int>)
    /// A time with its unit, as `30s`; the bounds are in nanoseconds.
    case duration(ClosedRange<Int64>)
    /// A Kafka time in milliseconds, -1 for no limit where the bounds allow it; `7d` is understood too.
    case milliseconds(ClosedRange<Int>)
    /// A Kafka size in bytes, -1 for no limit where the bounds allow it; `1 GiB` is understood too.
    case limitBytes(ClosedRange<Int>)
    /// Any text; empty means not set.
    case text(bytesMax: Int)
    /// `host:port`; the host `*` means every address of the machine.
    case address(optional: Bool)
    /// One of a few words.
    case choice([String])
    /// Several values: a sequence in the file, separated by commas elsewhere.
    case list(SettingListKind)

    /// Reads `text`; the error is a sentence's end, as in "… is not a number".
    public func parse(_ text: String) throws(SettingValueError) -> SettingValue {
        switch self {
        case .boolean: return .boolean(try Self.boolean(text))
        case .integer(let range):
            guard let value = Int(text) else { throw .init("is not a whole number") }
            try Self.check(value, in: range) { "\($0)" }
            return .integer(value)
        case .bytes(let range):
            guard let value = ByteCount(parsing: text) else { throw .init("is not a size such as 64 MiB") }
            try Self.check(value.bytes, in: range) { SizeText.text(bytes: $0) }
            return .bytes(value)
        case .duration(let range):
            guard let value = DurationText.nanoseconds(text) else { throw .init("is not a time such as 30s or 5m") }
            try Self.check(value, in: range) { DurationText.text(nanoseconds: $0) }
            return .duration(nanoseconds: value)
        case .milliseconds(let range):
            guard let value = Int(text) ?? DurationText.nanoseconds(text).map({ Int($0 / 1_000_000) }) else {
                throw .init("is neither a number of milliseconds nor a time such as 7d")
            }
            try Self.check(value, in: range) { "\($0)" }
            return .integer(value)
        case .limitBytes(let range):
            guard let value = Int(text) ?? ByteCount(parsing: text)?.bytes else {
                throw .init("is neither a number of bytes nor a size such as 1 GiB")
            }
            try Self.check(value, in: range) { "\($0)" }
            return .integer(value)
        case .text(let bytesMax):
            guard text.utf8.count <= bytesMax else { throw .init("is longer than \(bytesMax) bytes") }
            return .text(text)
        case .address(let optional):
            if optional && text.isEmpty { return .absent }
            return .address(try NetworkAddress(parsing: text))
        case .choice(let words):
            guard words.contains(text) else { throw .init("is none of \(words.joined(separator: ", "))") }
            return .text(text)
        case .list(let kind): return .list(try kind.parse(text))
        }
    }

    /// What the reference says about the type.
    public var description: String {
        switch self {
        case .boolean: "boolean"
        case .integer(let range): "integer, \(Self.bounds(range) { "\($0)" })"
        case .bytes(let range): "size, \(Self.bounds(range) { SizeText.text(bytes: $0) })"
        case .duration(let range): "time, \(Self.bounds(range) { DurationText.text(nanoseconds: $0) })"
        case .milliseconds(let range): "milliseconds, \(Self.bounds(range) { "\($0)" })"
        case .limitBytes(let range): "bytes, \(Self.bounds(range) { "\($0)" })"
        case .text: "text"
        case .address(let optional): optional ? "host:port, optional" : "host:port"
        case .choice(let words): words.joined(separator: " \\| ")
        case .list(let kind): kind.rawValue
        }
    }

    private static func bounds<Number: FixedWidthInteger>(
        _ range: ClosedRange<Number>, _ text: (Number) -> String
    ) -> String {
        range.upperBound == .max
            ? "\(text(range.lowerBound)) or more" : "\(text(range.lowerBound)) to \(text(range.upperBound))"
    }

    private static func check<Number: FixedWidthInteger>(
        _ value: Number, in range: ClosedRange<Number>, _ text: (Number) -> String
    ) throws(SettingValueError) {
        guard !range.contains(value) else { return }
        let problem =
            value < range.lowerBound ? "less than \(text(range.lowerBound))" : "more than \(text(range.upperBound))"
        throw SettingValueError("is \(problem)")
    }

    private static func boolean(_ text: String) throws(SettingValueError) -> Bool {
        switch text.lowercased() {
        case "true", "yes", "on": true
        case "false", "no", "off": false
        default: throw SettingValueError("is neither true nor false")
        }
    }
}

/// A value after it was read.
public enum SettingValue: Sendable, Equatable {
    /// See ``SettingType/boolean``.
    case boolean(Bool)
    /// A whole number, also milliseconds and byte limits.
    case integer(Int)
    /// See ``SettingType/bytes(_:)``.
    case bytes(ByteCount)
    /// See ``SettingType/duration(_:)``.
    case duration(nanoseconds: Int64)
    /// Text and choices.
    case text(String)
    /// See ``SettingType/address(optional:)``.
    case address(NetworkAddress)
    /// The elements as they were written.
    case list([String])
    /// An optional value that is not set.
    case absent
}

/// Why a value is refused, to be read after the value.
public struct SettingValueError: Error, Equatable, Sendable {
    /// As in "is more than 10".
    public let reason: String
    init(_ reason: String) { self.reason = reason }
}
