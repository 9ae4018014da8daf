// SPDX-License-Identifier: Apache-2.0
//
// TopicHandlers.swift
// CreateTopics, DeleteTopics, CreatePartitions: one question to the controller for each topic.

import KafkaProtocol
import Model
import Settings

extension Broker {
    func createTopics(_ request: CreateTopicsRequest, _ call: Call) {
        let twice = Self.repeated(request.topics.map(\.name))
        let gathering = Gathering<CreateTopicsResponse.Topic>(count: request.topics.count) { topics in
            call.respond(CreateTopicsResponse(topics: topics))
        }
        for (slot, topic) in request.topics.enumerated() {
            if twice.contains(topic.name) {
                let answer = CreateTopicsResponse.Topic(
                    name: topic.name, errorCode: .invalidRequest,
                    errorMessage: "The topic is named twice in the request")
                gathering.set(slot, answer)
                continue
            }
            withController { [self] controller in
                create(topic, validateOnly: request.validateOnly, controller) { gathering.set(slot, $0) }
            }
        }
    }

    private func create(
        _ topic: CreateTopicsRequest.Topic, validateOnly: Bool, _ controller: Controller,
        then: @escaping (CreateTopicsResponse.Topic) -> Void
    ) {
        var configuration: [String: String] = [:]
        for config in topic.configs { if let value = config.value { configuration[config.name] = value } }
        let request = TopicRequest(
            name: topic.name, partitionCount: topic.partitionCount, replicationFactor: topic.replicationFactor,
            assignments: topic.assignments.map { ($0.index, $0.brokerIDs) }, configuration: configuration)
        let plan: TopicPlan
        do {
            plan = try controller.plan(request)
        } catch {
            return then(.init(name: topic.name, errorCode: error.code, errorMessage: error.message))
        }
        let created = CreateTopicsResponse.Topic(
            name: topic.name, partitionCount: Int32(plan.partitions),
            replicationFactor: Int16(plan.replicationFactor),
            configs: effectiveConfigs(plan.configuration, controller.settings.topicDefaults))
        if validateOnly { return then(created) }
        controller.create(request) { refusal in
            guard let refusal else {
                var created = created
                created.topicID = controller.state.topicIDs[topic.name] ?? .zero
                return then(created)
            }
            then(.init(name: topic.name, errorCode: refusal.code, errorMessage: refusal.message))
        }
    }

    private func effectiveConfigs(
        _ overrides: [String: String], _ defaults: TopicConfiguration
    ) -> [CreateTopicsResponse.Config] {
        TopicConfigurationCatalogue.effective(overrides: overrides, defaults: defaults).map {
            .init(
                name: $0.definition.name, value: $0.value, isReadOnly: false,
                source: ConfigSource(isOverride: $0.isOverride).rawValue, isSensitive: false)
        }
    }

    func deleteTopics(_ request: DeleteTopicsRequest, _ call: Call) {
        let asked = call.version >= 6 ? request.topics : request.topicNames.map { .init(name: $0) }
        let gathering = Gathering<DeleteTopicsResponse.Topic>(count: asked.count) { topics in
            call.respond(DeleteTopicsResponse(topics: topics))
        }
        for (slot, topic) in asked.enumerated() {
            withController { controller in
                controller.delete(topic) { gathering.set(slot, $0) }
            }
        }
    }

    func createPartitions(_ request: CreatePartitionsRequest, _ call: Call) {
        let twice = Self.repeated(request.topics.map(\.name))
        let gathering = Gathering<CreatePartitionsResponse.Topic>(count: request.topics.count) { topics in
            call.respond(CreatePartitionsResponse(topics: topics))
        }
        for (slot, topic) in request.topics.enumerated() {
            if twice.contains(topic.name) {
                gathering.set(slot, .init(name: topic.name, errorCode: .invalidRequest))
                continue
            }
            withController { controller in
                controller.addPartitions(
                    to: topic.name, total: topic.count, assignments: topic.assignments?.map(\.brokerIDs),
                    validateOnly: request.validateOnly
                ) { refusal in
                    gathering.set(
                        slot,
                        .init(name: topic.name, errorCode: refusal?.code ?? .none, errorMessage: refusal?.message))
                }
            }
        }
    }

    /// The names that stand more than once.
    static func repeated(_ names: [String]) -> Set<String> {
        var seen = Set<String>()
        return Set(names.filter { !seen.insert($0).inserted })
    }
}

extension Controller {
    /// Deletes a topic that a client names by its name or by its id.
    fileprivate func delete(
        _ topic: DeleteTopicsRequest.Topic, then: @escaping (DeleteTopicsResponse.Topic) -> Void
    ) {
        guard (topic.name == nil) != (topic.topicID == .zero) else {
            return then(
                .init(
                    name: topic.name, topicID: topic.topicID, errorCode: .invalidRequest,
                    errorMessage: "A topic is named either by its name or by its id"))
        }
        let id = topic.name.map { state.topicIDs[$0] ?? .zero } ?? topic.topicID
        guard let name = topic.name ?? state.topics[id]?.name else {
            let refusal = AdminRefusal(.unknownTopicID, "There is no topic with the id \(id)")
            return refuse(refusal) { refusal in
                then(.init(name: nil, topicID: id, errorCode: refusal?.code ?? .none, errorMessage: refusal?.message))
            }
        }
        delete(name) { refusal in
            then(.init(name: name, topicID: id, errorCode: refusal?.code ?? .none, errorMessage: refusal?.message))
        }
    }
}
