// SPDX-License-Identifier: Apache-2.0
//
// GroupConfigTests.swift
// Configurations of groups through the broker: set, checked, shown, listed, kept over a restart, and what they do.

import KafkaProtocol
import Model
import TestSupport
import Testing

@testable import Broker

private typealias Config = IncrementalAlterConfigsRequest.Config

@Suite struct GroupConfigTests {
    private static let group = ConfigResourceType.group.rawValue

    /// Operation numbers: 0 set, 1 delete, 2 append, 3 subtract.
    private static func alter(
        _ broker: BrokerHarness, _ group: String, _ changes: [(name: String, operation: Int8, value: String?)],
        validateOnly: Bool = false
    ) async throws -> (code: KafkaErrorCode, message: String) {
        let configs = changes.map { Config(name: $0.name, operation: $0.operation, value: $0.value) }
        let request = IncrementalAlterConfigsRequest(
            resources: [.init(resourceType: Self.group, resourceName: group, configs: configs)],
            validateOnly: validateOnly)
        let answer = try await broker.call(request, version: 1).resources[0]
        return (answer.errorCode, answer.errorMessage ?? "")
    }

    private static func set(
        _ broker: BrokerHarness, _ values: [String: String], on group: String = "g"
    ) async throws -> KafkaErrorCode {
        try await alter(broker, group, values.map { ($0.key, 0, $0.value) }).code
    }

    private static func describe(
        _ broker: BrokerHarness, _ group: String, keys: [String]? = nil, loop: Int = 0
    ) async throws -> DescribeConfigsResponse.Resource {
        let request = DescribeConfigsRequest(
            resources: [.init(resourceType: Self.group, resourceName: group, keys: keys)], includeSynonyms: true,
            includeDocumentation: true)
        return try await broker.call(request, version: 4, loop: loop).resources[0]
    }

    /// What is set on a group itself.
    private static func values(_ broker: BrokerHarness, _ group: String = "g") async throws -> [String] {
        try await describe(broker, group).configs.filter { $0.source == 8 }.map { "\($0.name)=\($0.value ?? "")" }
    }

    private static func listed(_ broker: BrokerHarness, types: [Int8] = [32]) async throws -> [String] {
        let answer = try await broker.call(ListConfigResourcesRequest(resourceTypes: types), version: 1)
        return answer.configResources.filter { $0.resourceType == 32 }.map(\.resourceName)
    }

    @Test func aGroupThatDoesNotExistIsConfiguredAndShown() async throws {
        let options = [(key: "share_groups.session_timeout", value: "40s")]
        try await BrokerHarness.withBroker(options: options) { (broker: BrokerHarness) async throws in
            #expect(try await Self.set(broker, ["share.session.timeout.ms": "9000"]) == .none)
            for loop in 0..<2 {
                let shown = try await Self.describe(broker, "g", loop: loop)
                #expect(shown.errorCode == .none && shown.configs.count == 7)
                let timeout = try #require(shown.configs.first { $0.name == "share.session.timeout.ms" })
                #expect(timeout.value == "9000" && timeout.source == 8 && !timeout.isReadOnly && timeout.type == 3)
                #expect(timeout.documentation?.isEmpty == false)
                #expect(timeout.synonyms.map(\.name) == ["share.session.timeout.ms", "group.share.session.timeout.ms"])
                #expect(timeout.synonyms.map(\.value) == ["9000", "40000"])
                #expect(timeout.synonyms.map(\.source) == [8, 4])
                let lock = try #require(shown.configs.first { $0.name == "share.record.lock.duration.ms" })
                #expect(lock.value == "30000" && lock.source == 5 && lock.synonyms.map(\.source) == [5])
                #expect(shown.configs.first { $0.name == "share.isolation.level" }?.type == 2)
            }
            let other = try await Self.describe(broker, "h", keys: ["share.session.timeout.ms"])
            #expect(other.configs.map(\.value) == ["40000"] && other.configs.map(\.source) == [4])
            #expect(try await Self.describe(broker, "").errorCode == .invalidRequest)
            #expect(try await Self.listed(broker) == ["g"])
            #expect(try await Self.listed(broker, types: []) == ["g"])
            #expect(try await Self.listed(broker, types: [2, 4]) == [])
            #expect(broker.metric("goulette_configured_groups") == 1)
        }
    }

    @Test func changesAreCheckedAndAddedUp() async throws {
        try await BrokerHarness.withBroker { (broker: BrokerHarness) async throws in
            let (session, heartbeat) = ("consumer.session.timeout.ms", "consumer.heartbeat.interval.ms")
            #expect(try await Self.alter(broker, "g", [(session, 0, "9000")], validateOnly: true).code == .none)
            #expect(try await Self.listed(broker) == [])
            #expect(try await Self.set(broker, [session: "9000"]) == .none)
            #expect(try await Self.set(broker, [heartbeat: "2000"]) == .none)
            #expect(try await Self.values(broker) == ["\(heartbeat)=2000", "\(session)=9000"])
            for (changes, code): ([(name: String, operation: Int8, value: String?)], KafkaErrorCode) in [
                ([(session, 0, "2000")], .invalidConfig), ([(session, 0, "x")], .invalidConfig),
                ([(session, 0, nil)], .invalidConfig), ([(session, 2, "1")], .invalidConfig),
                ([(session, 3, "1")], .invalidConfig), ([("retention.ms", 0, "1")], .invalidConfig),
                ([("retention.ms", 1, nil)], .invalidConfig), ([(session, 9, "1")], .invalidRequest),
                ([(session, 0, "8000"), (session, 1, nil)], .invalidRequest),
            ] {
                #expect(try await Self.alter(broker, "g", changes).code == code, "\(changes)")
            }
            #expect(try await Self.alter(broker, "", [(session, 0, "9000")]).code == .invalidRequest)
            let long = String(repeating: "x", count: 1_025)
            #expect(try await Self.alter(broker, long, [(session, 0, "9000")]).code == .invalidRequest)
            #expect(try await Self.set(broker, [session: "9000"], on: String(long.dropLast())) == .none)
            #expect(try await Self.values(broker) == ["\(heartbeat)=2000", "\(session)=9000"], "all or nothing")

            #expect(try await Self.alter(broker, "g", [(session, 1, nil)]).code == .none)
            #expect(try await Self.values(broker) == ["\(heartbeat)=2000"])
            let all = AlterConfigsRequest(resources: [
                .init(
                    resourceType: Self.group, resourceName: "g",
                    configs: [.init(name: "share.isolation.level", value: "read_committed")])
            ])
            #expect(try await broker.call(all, version: 2).resources[0].errorCode == .none)
            #expect(try await Self.values(broker) == ["share.isolation.level=read_committed"])
            #expect(try await Self.alter(broker, "g", [("share.isolation.level", 1, nil)]).code == .none)
            #expect(try await Self.listed(broker) == [String(long.dropLast())])
        }
    }

    /// Two changes that are under way together are both there afterwards.
    @Test func noChangeIsLost() async throws {
        try await BrokerHarness.withBroker { (broker: BrokerHarness) async throws in
            let names = [
                "share.session.timeout.ms", "share.heartbeat.interval.ms", "consumer.session.timeout.ms",
                "share.record.lock.duration.ms",
            ]
            let requests = names.map { name in
                let value = name.contains("heartbeat") ? "1000" : "20000"
                return IncrementalAlterConfigsRequest(resources: [
                    .init(
                        resourceType: Self.group, resourceName: "g",
                        configs: [Config(name: name, operation: 0, value: value)])
                ])
            }
            let answers = try await broker.callAll(requests, version: 1)
            #expect(answers.allSatisfy { $0.resources[0].errorCode == .none })
            #expect(try await Self.values(broker).count == 4)
        }
    }

    @Test func configurationsOutliveTheBroker() async throws {
        let scratch = try Scratch(inMemory: true)
        let first = try await BrokerHarness.start(in: scratch)
        #expect(try await Self.set(first, ["share.auto.offset.reset": "by_duration:PT1H"]) == .none)
        try await first.stop()
        let second = try await BrokerHarness.start(in: scratch)
        #expect(try await Self.values(second) == ["share.auto.offset.reset=by_duration:PT1H"])
        #expect(try await Self.listed(second) == ["g"])
        try await second.stop()
    }

    @Test func membersAreToldTheirGroupsInterval() async throws {
        try await BrokerHarness.withBroker { (broker: BrokerHarness) async throws in
            _ = try await broker.createTopic("t")
            #expect(try await Self.set(broker, ["consumer.heartbeat.interval.ms": "1234"], on: "c") == .none)
            func beat(_ group: String, _ epoch: Int32) async throws -> Int32 {
                let names = epoch == 0 ? ["t"] : nil
                let request = ConsumerGroupHeartbeatRequest(
                    groupID: group, memberID: "m", memberEpoch: epoch,
                    rebalanceTimeoutMilliseconds: epoch == 0 ? 60_000 : -1, subscribedTopicNames: names,
                    topicPartitions: [])
                let answer = try await broker.call(request, version: 1)
                #expect(answer.errorCode == .none, "\(answer.errorMessage ?? "")")
                return answer.heartbeatIntervalMilliseconds
            }
            #expect(try await beat("c", 0) == 1_234)
            #expect(try await beat("other", 0) == 5_000)
            #expect(try await Self.set(broker, ["consumer.heartbeat.interval.ms": "4321"], on: "c") == .none)
            #expect(try await beat("c", 1) == 4_321, "with the next heartbeat")
            #expect(try await beat("other", 1) == 5_000)

            #expect(try await Self.set(broker, ["share.heartbeat.interval.ms": "1111"], on: "s") == .none)
            let share = ShareGroupHeartbeatRequest(
                groupID: "s", memberID: "m", memberEpoch: 0, subscribedTopicNames: ["t"])
            #expect(try await broker.call(share, version: 1).heartbeatIntervalMilliseconds == 1_111)
        }
    }

    // MARK: Limits

    @Test func groupsWithConfigurations() async throws {
        let options = [(key: "groups.max_configurations", value: "2")]
        try await BrokerHarness.withBroker(options: options) { (broker: BrokerHarness) async throws in
            let wanted = ["share.session.timeout.ms": "9000"]
            #expect(try await Self.set(broker, wanted, on: "a") == .none)
            #expect(try await Self.set(broker, wanted, on: "b") == .none)
            #expect(try await Self.set(broker, wanted, on: "c") == .policyViolation)
            #expect(try await Self.alter(broker, "c", [("share.session.timeout.ms", 1, nil)]).code == .none)
            #expect(try await Self.set(broker, ["share.session.timeout.ms": "8000"], on: "b") == .none, "has its place")
            #expect(broker.metric("goulette_configured_groups") == 2)
            #expect(try await Self.alter(broker, "a", [("share.session.timeout.ms", 1, nil)]).code == .none)
            #expect(broker.metric("goulette_configured_groups") == 1)
            #expect(try await Self.set(broker, wanted, on: "c") == .none)
        }
    }
}
