// SPDX-License-Identifier: Apache-2.0
//
// ResolvedSettings.swift
// Every key with its value and where it came from.

import Model

/// The values of all keys after the layers were put together.
public struct ResolvedSettings: Sendable {
    /// A value and its place.
    public struct Entry: Sendable, Equatable {
        /// The value.
        public let value: SettingValue
        /// As it was written.
        public let text: String
        /// Where it was written.
        public let origin: SettingOrigin
    }

    /// A key whose value differs between two configurations.
    public struct Change: Sendable, Equatable {
        /// The key.
        public let name: String
        /// The value before, as written.
        public let old: String
        /// The value after, as written.
        public let new: String
        /// When the new value takes effect.
        public let reload: ReloadClass
    }

    /// All layers of each key, the one that counts last.
    private var layers: [String: [Entry]]

    /// Every key at its default.
    public static let defaults: ResolvedSettings = {
        var layers: [String: [Entry]] = [:]
        for definition in Catalogue.all {
            do throws(SettingValueError) {
                let value = try definition.type.parse(definition.defaultText)
                layers[definition.name] = [Entry(value: value, text: definition.defaultText, origin: .default)]
            } catch {
                preconditionFailure("the default of \(definition.name) \(error.reason)")
            }
        }
        return ResolvedSettings(layers: layers)
    }()

    /// The value of `key`.
    public subscript<Value>(key: SettingKey<Value>) -> Value {
        guard let entry = layers[key.definition.name]?.last, let value = Value.from(entry.value) else {
            preconditionFailure("\(key.definition.name) is not in the catalogue with this type")
        }
        return value
    }

    /// The value that counts for the key `name`; nil when there is no such key.
    public func entry(_ name: String) -> Entry? { layers[name]?.last }

    /// Every layer that sets the key `name`, from the default up; the last one counts.
    public func explain(_ name: String) -> [Entry] { layers[name] ?? [] }

    /// What is different from `old`, in the order of the catalogue.
    public func changes(since old: ResolvedSettings) -> [Change] {
        Catalogue.all.compactMap { definition in
            guard let before = old.entry(definition.name), let after = entry(definition.name),
                before.value != after.value
            else { return nil }
            return Change(name: definition.name, old: before.text, new: after.text, reload: definition.reload)
        }
    }

    /// These settings with what a running broker takes over of `other`: the keys whose changes are ``ReloadClass/live``.
    ///
    /// - Throws: what does not fit together until the rest of `other` takes effect too.
    public func adopting(_ other: ResolvedSettings) throws(SettingsError) -> ResolvedSettings {
        var adopted = self
        for definition in Catalogue.all where definition.reload == .live {
            adopted.layers[definition.name] = other.layers[definition.name]
        }
        let problems = adopted.contradictions()
        guard problems.isEmpty else { throw .problems(problems) }
        return adopted
    }

    mutating func set(_ definition: SettingDefinition, _ entry: Entry) {
        layers[definition.name, default: []].append(entry)
    }

    /// Values that are fine each for itself but not together.
    func contradictions() -> [SettingsProblem] {
        var problems: [SettingsProblem] = []
        func check<Value>(_ holds: Bool, _ key: SettingKey<Value>, _ message: String) {
            guard !holds, let entry = entry(key.definition.name) else { return }
            problems.append(.init(origin: entry.origin, message: "\(key.definition.name): \(message)"))
        }
        typealias Keys = Catalogue
        check(
            self[Keys.groupsMinSessionTimeout] <= self[Keys.groupsMaxSessionTimeout], Keys.groupsMinSessionTimeout,
            "is above groups.max_session_timeout")
        check(
            self[Keys.groupsConsumerHeartbeatInterval] < self[Keys.groupsConsumerSessionTimeout],
            Keys.groupsConsumerHeartbeatInterval,
            "is not below groups.consumer_session_timeout, so members would be removed while they live")
        check(
            self[Keys.listenersMaxRequestBytes] <= self[Keys.listenersMaxInflightBytes],
            Keys.listenersMaxRequestBytes, "is above listeners.max_inflight_bytes, so such a request could not be read")
        check(
            self[Keys.topicsMaxMessageBytes] <= self[Keys.listenersMaxRequestBytes].bytes, Keys.topicsMaxMessageBytes,
            "is above listeners.max_request_bytes, so such a batch could not arrive")
        check(
            self[Keys.topicsNumPartitions] <= self[Keys.limitsMaxPartitionsPerTopic], Keys.topicsNumPartitions,
            "is above limits.max_partitions_per_topic")
        check(
            self[Keys.listenersAdvertised]?.isWildcard != true, Keys.listenersAdvertised,
            "no client can connect to \"every address\"; write the name or address clients use")
        check(!self[Keys.storageDirectory].isEmpty, Keys.storageDirectory, "is empty")
        clusterContradictions { name, message in
            guard let entry = entry(name) else { return }
            problems.append(.init(origin: entry.origin, message: "\(name): \(message)"))
        }
        return problems
    }
}
