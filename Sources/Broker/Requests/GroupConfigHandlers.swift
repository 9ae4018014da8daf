// SPDX-License-Identifier: Apache-2.0
//
// GroupConfigHandlers.swift
// The configuration of consumer groups and share groups, which clients know as resources of type GROUP (KIP-848, KIP-932).

import KafkaProtocol
import Model
import Settings

extension Broker {
    /// The longest name of a group that can be configured, in bytes.
    static let configuredGroupBytesMax = 1_024

    /// A group is named, whether it exists or not: there is no configuration of all groups but the brokers' settings.
    static func checkConfigured(group: String) throws(AdminRefusal) {
        guard !group.isEmpty else { throw AdminRefusal(.invalidRequest, "The name of a group must not be empty") }
        guard group.utf8.count <= configuredGroupBytesMax else {
            throw AdminRefusal(
                .invalidRequest, "The name of a group with configurations has at most \(configuredGroupBytesMax) bytes")
        }
    }

    /// Every configuration of a group, with what the broker's setting says as its synonym.
    func groupConfigs(
        _ group: String, _ request: DescribeConfigsRequest, _ shard: Shard
    ) -> [DescribeConfigsResponse.Config] {
        let settings = shard.settings
        let overrides = shard.image.groupConfigurations[group]?.overrides ?? [:]
        return GroupConfigurationCatalogue.effective(overrides: overrides, settings: settings.typed).map { entry in
            let definition = entry.definition
            let isDefault = settings.resolved.entry(definition.setting)?.origin == .default
            let brokerSource = isDefault ? ConfigSource.defaultValue : .staticBroker
            let ownValue = DescribeConfigsResponse.Synonym(
                name: definition.name, value: entry.value, source: ConfigSource.group.rawValue)
            let brokerValue = DescribeConfigsResponse.Synonym(
                name: definition.brokerName ?? definition.name, value: entry.brokerValue, source: brokerSource.rawValue)
            let synonyms = entry.isOverride ? [ownValue, brokerValue] : [brokerValue]
            return DescribeConfigsResponse.Config(
                name: definition.name, value: entry.value, isReadOnly: false,
                source: (entry.isOverride ? ConfigSource.group : brokerSource).rawValue, isSensitive: false,
                synonyms: request.includeSynonyms ? synonyms : [], type: definition.type.rawValue,
                documentation: request.includeDocumentation ? definition.doc : nil)
        }
    }
}
