// SPDX-License-Identifier: Apache-2.0
//
// ConfigHandlers.swift
// DescribeConfigs, AlterConfigs, IncrementalAlterConfigs for topics and groups; a broker's configuration is read-only.

import KafkaProtocol
import Model
import Settings

extension Broker {
    // MARK: Describe

    func describeConfigs(_ request: DescribeConfigsRequest, _ call: Call) {
        let shard = shards.shard(on: call.loop)
        let resources = request.resources.map { resource in
            var answer = DescribeConfigsResponse.Resource(
                resourceType: resource.resourceType, resourceName: resource.resourceName)
            do throws(AdminRefusal) {
                answer.configs = try describe(resource, request, shard)
            } catch {
                answer.errorCode = error.code
                answer.errorMessage = error.message
            }
            return answer
        }
        call.respond(DescribeConfigsResponse(resources: resources))
    }

    private func describe(
        _ resource: DescribeConfigsRequest.Resource, _ request: DescribeConfigsRequest, _ shard: Shard
    ) throws(AdminRefusal) -> [DescribeConfigsResponse.Config] {
        let configs: [DescribeConfigsResponse.Config]
        switch ConfigResourceType(rawValue: resource.resourceType) {
        case .topic:
            guard let topic = shard.image.topics[resource.resourceName] else {
                throw AdminRefusal(.unknownTopicOrPartition, "Topic \(resource.resourceName) does not exist")
            }
            configs = topicConfigs(topic, request, defaults: shard.settings.typed.topicDefaults)
        case .broker:
            try checkBroker(resource.resourceName)
            configs = brokerConfigs(request, shard.settings.resolved)
        case .group:
            try Self.checkConfigured(group: resource.resourceName)
            configs = groupConfigs(resource.resourceName, request, shard)
        default:
            throw AdminRefusal(.invalidRequest, "Resource type \(resource.resourceType) has no configuration here")
        }
        guard let wanted = resource.keys else { return configs }
        return configs.filter { wanted.contains($0.name) }
    }

    /// A broker resource names this broker, or every broker by the empty name.
    private func checkBroker(_ name: String) throws(AdminRefusal) {
        guard !name.isEmpty else { return }
        guard let id = Int32(name) else { throw AdminRefusal(.invalidRequest, "Broker id \(name) is not a number") }
        guard id == node.rawValue else { throw AdminRefusal(.invalidRequest, "This is broker \(node), not \(id)") }
    }

    private func topicConfigs(
        _ topic: TopicImage, _ request: DescribeConfigsRequest, defaults: TopicConfiguration
    ) -> [DescribeConfigsResponse.Config] {
        let overrides = topic.record.configuration
        return TopicConfigurationCatalogue.effective(overrides: overrides, defaults: defaults).map { entry in
            let definition = entry.definition
            let ownValue = DescribeConfigsResponse.Synonym(
                name: definition.name, value: entry.value, source: ConfigSource.topic.rawValue)
            let defaultValue = DescribeConfigsResponse.Synonym(
                name: definition.brokerName ?? definition.name, value: definition.defaultText,
                source: ConfigSource.defaultValue.rawValue)
            let synonyms = entry.isOverride ? [ownValue, defaultValue] : [defaultValue]
            return DescribeConfigsResponse.Config(
                name: definition.name, value: entry.value, isReadOnly: false,
                source: ConfigSource(isOverride: entry.isOverride).rawValue, isSensitive: false,
                synonyms: request.includeSynonyms ? synonyms : [], type: definition.type.rawValue,
                documentation: request.includeDocumentation ? definition.doc : nil)
        }
    }

    private func brokerConfigs(
        _ request: DescribeConfigsRequest, _ settings: ResolvedSettings
    ) -> [DescribeConfigsResponse.Config] {
        BrokerConfigurationNames.entries(of: settings).map { entry in
            let source = (entry.isDefault ? ConfigSource.defaultValue : .staticBroker).rawValue
            let synonym = DescribeConfigsResponse.Synonym(name: entry.name, value: entry.value, source: source)
            return DescribeConfigsResponse.Config(
                name: entry.name, value: entry.value, isReadOnly: true, source: source, isSensitive: false,
                synonyms: request.includeSynonyms ? [synonym] : [], type: entry.type.rawValue,
                documentation: request.includeDocumentation ? entry.doc : nil)
        }
    }

    // MARK: Alter

    func alterConfigs(_ request: AlterConfigsRequest, _ call: Call) {
        let gathering = Gathering<AlterConfigsResponse.Resource>(count: request.resources.count) { resources in
            call.respond(AlterConfigsResponse(resources: resources))
        }
        for (slot, resource) in request.resources.enumerated() {
            let changes = resource.configs.map { ConfigChange(name: $0.name, operation: .set, value: $0.value) }
            alter(resource.resourceType, resource.resourceName, changes, replacing: true, request.validateOnly) {
                refusal in
                gathering.set(
                    slot,
                    .init(
                        errorCode: refusal?.code ?? .none, errorMessage: refusal?.message,
                        resourceType: resource.resourceType, resourceName: resource.resourceName))
            }
        }
    }

    func incrementalAlterConfigs(_ request: IncrementalAlterConfigsRequest, _ call: Call) {
        let gathering = Gathering<IncrementalAlterConfigsResponse.Resource>(count: request.resources.count) {
            resources in
            call.respond(IncrementalAlterConfigsResponse(resources: resources))
        }
        for (slot, resource) in request.resources.enumerated() {
            let changes = resource.configs.map {
                ConfigChange(name: $0.name, operation: .init(rawValue: $0.operation), value: $0.value)
            }
            alter(resource.resourceType, resource.resourceName, changes, replacing: false, request.validateOnly) {
                refusal in
                gathering.set(
                    slot,
                    .init(
                        errorCode: refusal?.code ?? .none, errorMessage: refusal?.message,
                        resourceType: resource.resourceType, resourceName: resource.resourceName))
            }
        }
    }

    /// Changes one resource's configuration; `replacing` begins with an empty one, as AlterConfigs does.
    private func alter(
        _ type: Int8, _ name: String, _ changes: [ConfigChange], replacing: Bool, _ validateOnly: Bool,
        then: @escaping @Sendable (AdminRefusal?) -> Void
    ) {
        let resource: ConfigChange.Resource
        switch ConfigResourceType(rawValue: type) {
        case .topic: resource = .topic
        case .group: resource = .group
        default:
            return then(AdminRefusal(.invalidRequest, "Only topics and groups can be configured while the broker runs"))
        }
        guard Self.repeated(changes.map(\.name)).isEmpty else {
            return then(AdminRefusal(.invalidRequest, "A configuration is named twice for \(name)"))
        }
        withController { controller in
            guard resource == .topic else {
                do throws(AdminRefusal) { try Self.checkConfigured(group: name) } catch { return then(error) }
                return controller.configureGroup(name, changes, replacing: replacing, validateOnly: validateOnly) {
                    then($0)
                }
            }
            guard let topic = controller.state.topic(named: name) else {
                return then(AdminRefusal(.unknownTopicOrPartition, "Topic \(name) does not exist"))
            }
            do throws(AdminRefusal) {
                let start = replacing ? [:] : topic.configuration
                let configuration = try ConfigChange.apply(changes, to: start, of: .topic)
                controller.setConfiguration(of: name, configuration, validateOnly: validateOnly) { then($0) }
            } catch {
                then(error)
            }
        }
    }
}

extension ConfigSource {
    /// Of a topic's configuration.
    init(isOverride: Bool) { self = isOverride ? .topic : .defaultValue }
}
