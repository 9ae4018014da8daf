// SPDX-License-Identifier: Apache-2.0
//
// GroupConfigurationCatalogue.swift
// Every group configuration clients can read and set, under Kafka's names, with the setting that gives its default.

/// One group configuration.
public struct GroupConfigurationDefinition: Sendable {
    /// Kafka's name.
    public let name: String
    /// Its type on the wire.
    public let type: KafkaConfigurationType
    /// What it does.
    public let doc: String
    /// The setting that holds for groups that say nothing.
    public let setting: String
    /// Kafka's name of that setting; nil where Kafka has none.
    public let brokerName: String?

    let rule: Rule
    let apply: @Sendable (inout GroupConfiguration, String) -> Void
    let current: @Sendable (BrokerSettings) -> String

    enum Rule: Sendable {
        case milliseconds(ClosedRange<Int64>)
        case words([String])
        case offsetReset
    }

    /// The value as it is kept, or why it is refused.
    public func check(_ text: String) throws(GroupConfigurationError) -> String {
        let value = text.trimmingWhitespace()
        func invalid(_ reason: String) -> GroupConfigurationError {
            .invalid(name: name, value: String(text.prefix(64)), reason: reason)
        }
        switch rule {
        case .milliseconds(let range):
            guard let number = Int64(value) else { throw invalid("is not a whole number") }
            guard number >= range.lowerBound else { throw invalid("must be at least \(range.lowerBound)") }
            guard number <= range.upperBound else { throw invalid("must be at most \(range.upperBound)") }
            return "\(number)"
        case .words(let words):
            guard words.contains(value) else { throw invalid("must be one of \(words.joined(separator: ", "))") }
        case .offsetReset:
            guard ShareOffsetReset.isPlain(value) || ShareOffsetReset.duration(value) != nil else {
                throw invalid("must be latest, earliest or by_duration: with an ISO 8601 duration such as PT1H")
            }
        }
        return value
    }
}

/// All group configurations.
public enum GroupConfigurationCatalogue {
    /// A configuration as it is for one group.
    public struct Entry: Sendable {
        /// Which it is.
        public let definition: GroupConfigurationDefinition
        /// The value that holds for the group.
        public let value: String
        /// Whether the group has it for itself.
        public let isOverride: Bool
        /// What the broker's setting says.
        public let brokerValue: String
    }

    /// By name.
    public static let all: [GroupConfigurationDefinition] = [
        milliseconds(
            "consumer.session.timeout.ms", Catalogue.groupsConsumerSessionTimeout, "group.consumer.session.timeout.ms",
            \.consumerSessionMilliseconds
        ) { $0.groups.consumerSessionTimeout },
        milliseconds(
            "consumer.heartbeat.interval.ms", Catalogue.groupsConsumerHeartbeatInterval,
            "group.consumer.heartbeat.interval.ms", \.consumerHeartbeatMilliseconds
        ) { $0.groups.consumerHeartbeatInterval },
        milliseconds(
            "share.session.timeout.ms", Catalogue.shareSessionTimeout, "group.share.session.timeout.ms",
            \.shareSessionMilliseconds
        ) { $0.shareGroups.sessionTimeout },
        milliseconds(
            "share.heartbeat.interval.ms", Catalogue.shareHeartbeatInterval, "group.share.heartbeat.interval.ms",
            \.shareHeartbeatMilliseconds
        ) { $0.shareGroups.heartbeatInterval },
        milliseconds(
            "share.record.lock.duration.ms", Catalogue.shareRecordLock, "group.share.record.lock.duration.ms",
            \.recordLockMilliseconds
        ) { $0.shareGroups.recordLockDuration },
        GroupConfigurationDefinition(
            name: "share.auto.offset.reset", type: .string, doc: Catalogue.shareOffsetReset.definition.doc,
            setting: Catalogue.shareOffsetReset.definition.name, brokerName: nil, rule: .offsetReset,
            apply: { configuration, text in
                configuration.offsetReset = ShareOffsetReset(rawValue: text) ?? .byDuration
                configuration.offsetResetMilliseconds = ShareOffsetReset.duration(text)
            },
            current: { $0.shareGroups.offsetResetText }),
        GroupConfigurationDefinition(
            name: "share.isolation.level", type: .string, doc: Catalogue.shareIsolation.definition.doc,
            setting: Catalogue.shareIsolation.definition.name, brokerName: nil,
            rule: .words(ShareIsolation.allCases.map(\.rawValue)),
            apply: { $0.isolation = ShareIsolation(rawValue: $1) }, current: { $0.shareGroups.isolation.rawValue }),
    ].sorted { $0.name < $1.name }

    /// The configuration `name`.
    public static func definition(_ name: String) -> GroupConfigurationDefinition? { byName[name] }

    /// The name that was probably meant.
    public static func suggestion(for name: String) -> String? {
        Spelling.nearest(to: name, among: all.map(\.name))
    }

    /// The value of each configuration, in the order of ``all``: that of `overrides`, or that of `settings`.
    public static func effective(overrides: [String: String], settings: BrokerSettings) -> [Entry] {
        all.map { definition in
            let own = overrides[definition.name]
            let brokerValue = definition.current(settings)
            return Entry(
                definition: definition, value: own ?? brokerValue, isOverride: own != nil, brokerValue: brokerValue)
        }
    }

    private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

    /// A time that a group may have as the broker may: with the same bounds.
    private static func milliseconds(
        _ name: String, _ key: SettingKey<Duration>, _ brokerName: String,
        _ path: any WritableKeyPath<GroupConfiguration, Int64?> & Sendable,
        _ current: @escaping @Sendable (BrokerSettings) -> Duration
    ) -> GroupConfigurationDefinition {
        guard case .duration(let range) = key.definition.type else {
            preconditionFailure("the setting \(key.definition.name) of \(name) is no time")
        }
        return GroupConfigurationDefinition(
            name: name, type: .int, doc: key.definition.doc, setting: key.definition.name, brokerName: brokerName,
            rule: .milliseconds(max(1, range.lowerBound / 1_000_000)...range.upperBound / 1_000_000),
            apply: { $0[keyPath: path] = Int64($1) }, current: { "\(current($0).wholeMilliseconds)" })
    }
}

extension GroupConfigurationDefinition {
    /// What values it takes, for the reference.
    var bounds: String {
        switch rule {
        case .milliseconds(let range): "milliseconds, \(range.lowerBound) to \(range.upperBound)"
        case .words(let words): words.joined(separator: " \\| ")
        case .offsetReset: "latest \\| earliest \\| by_duration:*ISO 8601*"
        }
    }
}

extension ShareOffsetReset {
    private static let durationPrefix = "by_duration:"
    /// The longest text of a duration that is kept.
    private static let textBytesMax = 64

    /// Whether a value says all by itself.
    static func isPlain(_ text: String) -> Bool { [latest.rawValue, earliest.rawValue].contains(text) }

    /// The milliseconds in `by_duration:PT1H`, within the bounds of the setting; nil for other texts.
    static func duration(_ text: String) -> Int64? {
        guard text.hasPrefix(durationPrefix), text.utf8.count <= textBytesMax,
            case .duration(let range) = Catalogue.shareOffsetResetDuration.definition.type,
            let milliseconds = ISODuration.milliseconds(String(text.dropFirst(durationPrefix.count)))
        else { return nil }
        return milliseconds <= range.upperBound / 1_000_000 ? milliseconds : nil
    }

    /// As Kafka writes it.
    func text(milliseconds: Int64) -> String {
        self == .byDuration ? Self.durationPrefix + ISODuration.text(milliseconds: milliseconds) : rawValue
    }
}

extension BrokerSettings.ShareGroups {
    /// Where groups begin, as Kafka writes it.
    var offsetResetText: String { offsetReset.text(milliseconds: offsetResetDuration.wholeMilliseconds) }
}
