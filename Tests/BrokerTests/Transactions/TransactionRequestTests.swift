// SPDX-License-Identifier: Apache-2.0
//
// TransactionRequestTests.swift
// What the newest versions of requests about transactions add: ids by expression, and decisions of other systems.

import KafkaProtocol
import Model
import Testing

@testable import Broker

@Suite struct TransactionRequestTests {
    @Test func idsAreListedByExpression() async throws {
        try await BrokerHarness.withBroker { broker in
            for id in ["pay-1", "pay-2", "ship-1", "näh"] {
                let request = InitProducerIDRequest(transactionalID: id, transactionTimeoutMilliseconds: 1_000)
                #expect(try await broker.call(request, version: 6).errorCode == .none)
            }
            func list(_ pattern: String?, version: Int16 = 2) async throws -> [String] {
                let request = ListTransactionsRequest(transactionalIDPattern: pattern)
                let answer = try await broker.call(request, version: version)
                #expect(answer.errorCode == .none)
                return answer.transactions.map(\.transactionalID)
            }
            let all = ["näh", "pay-1", "pay-2", "ship-1"]
            #expect(try await list(nil) == all)
            #expect(try await list("") == all)
            #expect(try await list("ship", version: 1) == all, "this version has no expression")
            #expect(try await list("pay-.*") == ["pay-1", "pay-2"])
            #expect(try await list("(pay|ship)-1") == ["pay-1", "ship-1"])
            #expect(try await list("pay") == [], "all of the id has to match")
            let wrong = try await broker.call(ListTransactionsRequest(transactionalIDPattern: "("), version: 2)
            #expect(wrong.errorCode == .invalidRegularExpression && wrong.transactions.isEmpty)
        }
    }

    /// Transactions that another system decides about (KIP-939) are refused as Kafka refuses them where they are off.
    @Test func noOtherSystemDecides() async throws {
        try await BrokerHarness.withBroker { broker in
            func begin(
                _ id: String?, enables: Bool = false, keeps: Bool = false
            ) async throws -> InitProducerIDResponse {
                let request = InitProducerIDRequest(
                    transactionalID: id, transactionTimeoutMilliseconds: 1_000, enablesTwoPhaseCommit: enables,
                    keepsPreparedTransaction: keeps)
                return try await broker.call(request, version: 6)
            }
            #expect(try await begin("x", enables: true).errorCode == .transactionalIDAuthorizationFailed)
            #expect(try await begin("x", enables: true, keeps: true).errorCode == .transactionalIDAuthorizationFailed)
            #expect(try await begin("x", keeps: true).errorCode == .unsupportedVersion)
            #expect(try await broker.call(ListTransactionsRequest(), version: 2).transactions.isEmpty)
            let plain = try await begin("x")
            #expect(plain.errorCode == .none && plain.producerEpoch == 0)
            #expect(plain.ongoingTransactionProducerID == -1 && plain.ongoingTransactionProducerEpoch == -1)
            #expect(try await begin(nil).errorCode == .none)
        }
    }
}
