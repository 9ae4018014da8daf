// SPDX-License-Identifier: Apache-2.0
//
// ClusterCommandTextTests.swift
// Commands as operators read them.

import LogStore
import Model
import Testing

@testable import Broker

@Suite struct ClusterCommandTextTests {
    private typealias Codes = ClusterCodingTests

    private static let cases: [(command: ClusterCommand, kind: String, detail: String)] = [
        (
            .createTopic(Codes.topic), "createTopic",
            "orders \(Codes.topicID): group 1024 on 1; group 1025 on 1 cleanup.policy=delete retention.ms=1000"
        ),
        (.setConfiguration(topic: Codes.topicID, [:]), "setConfiguration", "\(Codes.topicID): defaults"),
        (.allocateProducerIDs(first: 1000, count: 1000), "allocateProducerIDs", "1000 to 1999"),
        (
            .registerBroker(Codes.registration), "registerBroker",
            "broker 3 at a.example:9092, for brokers 10.0.0.3:9192, rack r1"
        ),
        (
            .unregisterBroker(NodeID(rawValue: 3), retiring: 7), "unregisterBroker",
            "broker 3, not let in again with its data directory"
        ),
        (.drainBroker(NodeID(rawValue: 3), .decommission), "drainBroker", "broker 3: decommission"),
        (
            .beginReassignment([
                ReassignmentTarget(group: Codes.group(1024), replicas: Codes.nodes(1, 2)),
                ReassignmentTarget(group: Codes.group(1025), replicas: Codes.nodes(2)),
            ]), "beginReassignment", "group 1024 to 1,2; group 1025 to 2"
        ),
        (
            .finishReassignment(Codes.group(1024), floor: JoinFloor(term: Term(4), index: LogIndex(rawValue: 90))),
            "finishReassignment", "group 1024, since entry 90 of term 4"
        ),
        (.settleBalance, "settleBalance", ""),
        (
            .configureGroup("g", ["share.isolation.level": "read_committed"]), "configureGroup",
            "g: share.isolation.level=read_committed"
        ),
        (.configureGroup("g", [:]), "configureGroup", "g: defaults"),
    ]

    @Test(arguments: cases.indices) func isForPeople(number: Int) {
        let (command, kind, detail) = Self.cases[number]
        #expect(command.text.kind == kind)
        #expect(command.text.detail == detail)
    }

    /// Whatever a command holds, it begins with the name that Swift has for it, which scripts may rely on.
    @Test func kindsAreTheNamesOfTheCommands() {
        for (command, kind, _) in Self.cases { #expect("\(command)".hasPrefix(kind)) }
    }

    @Test func addressesAreBracketedWhereNeeded() {
        #expect(BrokerEndpoint(host: "::1", port: 9092).text == "[::1]:9092")
    }
}
