// SPDX-License-Identifier: Apache-2.0
//
// TopicConfigurationCatalogue.swift
// Every topic configuration clients can read and set, under Kafka's names.

/// How a value's type is named on the wire (DescribeConfigs, version 3 and later).
public enum KafkaConfigurationType: Int8, Sendable {
    case boolean = 1
    case string = 2
    case int = 3
    case short = 4
    case long = 5
    case double = 6
    case list = 7
}

/// One topic configuration.
public struct TopicConfigurationDefinition: Sendable {
    /// Kafka's name.
    public let name: String
    /// Its type on the wire.
    public let type: KafkaConfigurationType
    /// The default when no broker setting gives one.
    public let defaultText: String
    /// What it does; for those without effect, what Kafka uses it for.
    public let doc: String
    /// The broker configuration that gives the default, under Kafka's name; nil when there is none.
    public let brokerName: String?
    /// Whether it changes anything here.
    ///
    /// The others are kept and returned, because tools set them.
    public var hasEffect: Bool { apply != nil || allowedOnly != nil }

    let rule: Rule
    let allowedOnly: String?
    let apply: (@Sendable (inout TopicConfiguration, String) -> Void)?
    let current: (@Sendable (TopicConfiguration) -> String)?

    enum Rule: Sendable {
        case integer(ClosedRange<Int64>)
        case number(ClosedRange<Double>)
        case boolean
        case words([String])
        case anything
    }

    /// The value as it is kept, or why it is refused.
    public func check(_ text: String) throws(TopicConfigurationError) -> String {
        let value = text.trimmingWhitespace()
        func invalid(_ reason: String) -> TopicConfigurationError { .invalid(name: name, value: text, reason: reason) }
        switch rule {
        case .integer(let range):
            guard let number = Int64(value) else { throw invalid("is not a whole number") }
            guard number >= range.lowerBound else { throw invalid("must be at least \(range.lowerBound)") }
            guard number <= range.upperBound else { throw invalid("must be at most \(range.upperBound)") }
        case .number(let range):
            guard let number = Double(value), range.contains(number) else {
                throw invalid("must be a number from \(range.lowerBound) to \(range.upperBound)")
            }
        case .boolean:
            guard ["true", "false"].contains(value.lowercased()) else { throw invalid("must be true or false") }
            return try served(value.lowercased())
        case .words(let words):
            guard words.contains(value) else { throw invalid("must be one of \(words.joined(separator: ", "))") }
        case .anything: break
        }
        return try served(value)
    }

    private func served(_ value: String) throws(TopicConfigurationError) -> String {
        guard let allowedOnly, value != allowedOnly else { return value }
        throw .unsupported(name: name, value: value, reason: "only \(allowedOnly) is served")
    }
}

/// All topic configurations.
public enum TopicConfigurationCatalogue {
    /// By name.
    public static let all: [TopicConfigurationDefinition] = (effective + stored).sorted { $0.name < $1.name }

    /// The configuration `name`.
    public static func definition(_ name: String) -> TopicConfigurationDefinition? { byName[name] }

    /// The name that was probably meant.
    public static func suggestion(for name: String) -> String? {
        Spelling.nearest(to: name, among: all.map(\.name))
    }

    /// The value of each configuration, in the order of ``all``: that of `overrides`, or that of `defaults`.
    public static func effective(
        overrides: [String: String], defaults: TopicConfiguration
    ) -> [(definition: TopicConfigurationDefinition, value: String, isOverride: Bool)] {
        all.map { definition in
            if let value = overrides[definition.name] { return (definition, value, true) }
            return (definition, definition.current?(defaults) ?? definition.defaultText, false)
        }
    }

    private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
}

extension String {
    /// The text without spaces and tabs at both ends.
    func trimmingWhitespace() -> String {
        var text = self[...]
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return String(text)
    }
}
