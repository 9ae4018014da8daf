// SPDX-License-Identifier: Apache-2.0
//
// SettingList.swift
// Values that are lists: a YAML sequence in the file, commas everywhere else.

/// What a list consists of.
public enum SettingListKind: String, Sendable, Equatable {
    /// See ``PeerAddress``.
    case peers = "list of id@host:port"
    /// See ``NetworkAddress``.
    case addresses = "list of host:port"
    /// See ``AddressRange``.
    case ranges = "list of address/length"
    /// See ``MetricPrefix``.
    case metricPrefixes = "list of names' beginnings"

    /// Splits and checks `text`; the elements come back trimmed.
    func parse(_ text: String) throws(SettingValueError) -> [String] {
        let elements = text.split(separator: ",").map { String($0.trimming { $0.isWhitespace }) }.filter { !$0.isEmpty }
        for element in elements {
            switch self {
            case .peers: _ = try PeerAddress(parsing: element)
            case .addresses: _ = try NetworkAddress(parsing: element)
            case .ranges: _ = try AddressRange(parsing: element)
            case .metricPrefixes: _ = try MetricPrefix(parsing: element)
            }
        }
        return elements
    }
}

/// What an element of a list can be.
public protocol SettingListElement: Sendable {
    /// Reads one element.
    init(parsing text: String) throws(SettingValueError)
}

extension NetworkAddress: SettingListElement {}

extension Array: SettingConvertible where Element: SettingListElement {
    /// A list's elements.
    public static func from(_ value: SettingValue) -> [Element]? {
        guard case .list(let texts) = value else { return nil }
        let elements = texts.compactMap { try? Element(parsing: $0) }
        return elements.count == texts.count ? elements : nil
    }
}

extension Substring {
    /// Without leading and trailing characters for which `isDropped` holds.
    func trimming(_ isDropped: (Character) -> Bool) -> Substring {
        var rest = drop(while: isDropped)
        while let last = rest.last, isDropped(last) { rest.removeLast() }
        return rest
    }
}
