// SPDX-License-Identifier: Apache-2.0
//
// GroupConfiguration.swift
// What is set on one group for itself, in place of the broker's settings.

/// The configuration of a consumer group or a share group; what is nil the broker's settings say.
public struct GroupConfiguration: Hashable, Sendable {
    /// What was set, under Kafka's names.
    public private(set) var overrides: [String: String] = [:]
    /// Configuration `consumer.session.timeout.ms`.
    public internal(set) var consumerSessionMilliseconds: Int64?
    /// Configuration `consumer.heartbeat.interval.ms`.
    public internal(set) var consumerHeartbeatMilliseconds: Int64?
    /// Configuration `share.session.timeout.ms`.
    public internal(set) var shareSessionMilliseconds: Int64?
    /// Configuration `share.heartbeat.interval.ms`.
    public internal(set) var shareHeartbeatMilliseconds: Int64?
    /// Configuration `share.record.lock.duration.ms`.
    public internal(set) var recordLockMilliseconds: Int64?
    /// Configuration `share.auto.offset.reset`.
    public internal(set) var offsetReset: ShareOffsetReset?
    /// The duration in `share.auto.offset.reset`; nil unless that is by duration.
    public internal(set) var offsetResetMilliseconds: Int64?
    /// Configuration `share.isolation.level`.
    public internal(set) var isolation: ShareIsolation?

    /// A group of which nothing is set.
    public init() {}

    /// What was stored, which a release with other names or bounds may have accepted: what means nothing here is kept
    /// and has no effect.
    public init(stored overrides: [String: String]) {
        for (name, text) in overrides {
            guard let definition = GroupConfigurationCatalogue.definition(name) else { continue }
            do throws(GroupConfigurationError) {
                definition.apply(&self, try definition.check(text))
            } catch { continue }
        }
        self.overrides = overrides
    }

    /// What a client wants to set, on a broker with `settings`.
    ///
    /// - Throws: the first thing that is wrong; also what is wrong together with the settings only.
    public init(checking overrides: [String: String], settings: BrokerSettings) throws(GroupConfigurationError) {
        var kept: [String: String] = [:]
        for (name, text) in overrides.sorted(by: { $0.key < $1.key }) {
            guard let definition = GroupConfigurationCatalogue.definition(name) else {
                throw .unknown(name: name, suggestion: GroupConfigurationCatalogue.suggestion(for: name))
            }
            kept[name] = try definition.check(text)
        }
        self.init(stored: kept)
        try checkHeartbeats(settings)
    }

    /// Members that are told to be heard less often than they are waited for would be removed while they live.
    private func checkHeartbeats(_ settings: BrokerSettings) throws(GroupConfigurationError) {
        let consumer =
            (
                consumerHeartbeatMilliseconds ?? settings.groups.consumerHeartbeatInterval.wholeMilliseconds,
                consumerSessionMilliseconds ?? settings.groups.consumerSessionTimeout.wholeMilliseconds
            )
        let isConsumerSet = consumerHeartbeatMilliseconds != nil || consumerSessionMilliseconds != nil
        if isConsumerSet, consumer.0 >= consumer.1 {
            throw .heartbeat(
                name: "consumer.heartbeat.interval.ms", milliseconds: consumer.0,
                timeout: "consumer.session.timeout.ms",
                of: consumer.1)
        }
        let interval = shareHeartbeatMilliseconds ?? settings.shareGroups.heartbeatInterval.wholeMilliseconds
        let timeout = shareSessionMilliseconds ?? settings.shareGroups.sessionTimeout.wholeMilliseconds
        if shareHeartbeatMilliseconds != nil || shareSessionMilliseconds != nil, interval >= timeout {
            throw .heartbeat(
                name: "share.heartbeat.interval.ms", milliseconds: interval, timeout: "share.session.timeout.ms",
                of: timeout)
        }
    }
}

/// Why a group's configuration is refused.
public enum GroupConfigurationError: Error, Equatable, Sendable, CustomStringConvertible {
    /// There is no such configuration.
    case unknown(name: String, suggestion: String?)
    /// The value does not fit.
    case invalid(name: String, value: String, reason: String)
    /// A heartbeat interval that is not below the session timeout, of which one may be the broker's.
    case heartbeat(name: String, milliseconds: Int64, timeout: String, of: Int64)

    /// A sentence for the client.
    public var description: String {
        switch self {
        case .unknown(let name, let suggestion):
            "Unknown group configuration \(name)" + (suggestion.map { "; did you mean \($0)?" } ?? "")
        case .invalid(let name, let value, let reason):
            "Invalid value \(value) for configuration \(name): it \(reason)"
        case .heartbeat(let name, let milliseconds, let timeout, let limit):
            "\(name) is \(milliseconds) and must be below \(timeout), which is \(limit)"
        }
    }
}

extension GroupConfiguration {
    /// The heartbeat interval that members are told, in milliseconds: `interval`, but a third of the session timeout when it is
    /// not below that.
    ///
    /// Both are checked together when they are set. One of them may be the broker's, which may change later; members would be
    /// removed while they live.
    public static func heartbeat(_ interval: Int64, session: Int64) -> Int64 {
        interval < session ? interval : max(1, session / 3)
    }
}

extension BrokerSettings.ShareGroups {
    /// The settings as they are for a group with `configuration`.
    public func adapted(to configuration: GroupConfiguration?) -> Self {
        guard let configuration else { return self }
        var adapted = self
        if let value = configuration.shareSessionMilliseconds { adapted.sessionTimeout = .milliseconds(value) }
        if let value = configuration.shareHeartbeatMilliseconds { adapted.heartbeatInterval = .milliseconds(value) }
        adapted.heartbeatInterval = .milliseconds(
            GroupConfiguration.heartbeat(
                adapted.heartbeatInterval.wholeMilliseconds, session: adapted.sessionTimeout.wholeMilliseconds))
        if let value = configuration.recordLockMilliseconds { adapted.recordLockDuration = .milliseconds(value) }
        if let value = configuration.offsetReset { adapted.offsetReset = value }
        if let value = configuration.offsetResetMilliseconds { adapted.offsetResetDuration = .milliseconds(value) }
        if let value = configuration.isolation { adapted.isolation = value }
        return adapted
    }
}
