// SPDX-License-Identifier: Apache-2.0
//
// ClientMetricTests.swift
// What clients push becomes few series of sound names, whatever they push.

import Model
import Telemetry
import Testing

@testable import Broker

@Suite struct ClientMetricTests {
    private let first = UniqueID(high: 0, low: 1)
    private let second = UniqueID(high: 0, low: 2)
    private let app = TelemetryClient(clientID: "app", software: "librdkafka")

    private func gauge(_ name: String, _ value: Double) -> OTLPPoint { .init(metric: name, kind: .gauge, value: value) }
    private func added(_ name: String, _ value: Double) -> OTLPPoint {
        .init(metric: name, kind: .delta(isMonotonic: true), value: value)
    }
    private func total(_ name: String, _ value: Double) -> OTLPPoint {
        .init(metric: name, kind: .cumulative(isMonotonic: true), value: value)
    }

    private func values(_ table: ClientMetricTable, _ point: OTLPPoint) throws -> [String: Double] {
        let name = try #require(ClientMetricName(point))
        return Dictionary(uniqueKeysWithValues: table.series(of: name).map { ($0.client.clientID, $0.value) })
    }

    @Test(arguments: [
        (
            "org.apache.kafka.producer.connection.creation.rate", true,
            "goulette_client_producer_connection_creation_rate"
        ),
        ("org.apache.kafka.Producer-Total", true, "goulette_client_producer_total_value"),
        ("a..b__c.", false, "goulette_client_a_b_c_total"), ("x.total", false, "goulette_client_x_total"),
    ])
    func namesAreThoseOfPrometheus(_ name: String, _ isGauge: Bool, _ expected: String) {
        #expect(ClientMetricName(isGauge ? gauge(name, 1) : added(name, 1))?.text == expected)
    }

    @Test func namesThatCannotBeKeptAreDropped() {
        #expect(ClientMetricName(gauge("", 1)) == nil)
        #expect(ClientMetricName(gauge("…", 1)) == nil)
        #expect(ClientMetricName(gauge(String(repeating: "a", count: 5000), 1))?.text.utf8.count ?? 0 < 256)
    }

    @Test func clientsOfOneNameShareASeries() throws {
        var table = ClientMetricTable(seriesMax: 100)
        let outcome = table.take(
            [gauge("lag", 3), gauge("lag", 5), added("sent", 2), added("sent", 3)], from: first, app)
        #expect(outcome.newMetrics.count == 2 && outcome.dropped == 0)
        #expect(table.take([gauge("lag", 4), added("sent", 10)], from: second, app).newMetrics.isEmpty)
        #expect(try values(table, gauge("lag", 0)) == ["app": 5])
        #expect(try values(table, added("sent", 0)) == ["app": 15])
        table.forget(first, app, isLast: false)
        #expect(try values(table, gauge("lag", 0)) == ["app": 4])
        #expect(try values(table, added("sent", 0)) == ["app": 15])
        table.forget(second, app, isLast: true)
        #expect(try values(table, gauge("lag", 0)).isEmpty)
        #expect(try values(table, added("sent", 0)).isEmpty)
    }

    @Test func sumsSinceTheStartAreCountedOnce() throws {
        var table = ClientMetricTable(seriesMax: 100)
        for sum in [5.0, 9, 9, 2] { _ = table.take([total("sent", sum)], from: first, app) }
        #expect(try values(table, total("sent", 0)) == ["app": 11])
        _ = table.take([total("sent", 4)], from: second, app)
        #expect(try values(table, total("sent", 0)) == ["app": 15])
    }

    @Test func seriesNamesAndGaugesAreBounded() throws {
        var table = ClientMetricTable(seriesMax: 3)
        for number in 0..<10 {
            let client = TelemetryClient(clientID: "app-\(number)", software: "x")
            _ = table.take([added("sent", 1)], from: UniqueID(high: 9, low: UInt64(number)), client)
        }
        #expect(try values(table, added("sent", 0)) == ["app-0": 1, "app-1": 1, "app-2": 1, "~other": 7])
        // Room that a client leaves is given to the next one.
        table.forget(UniqueID(high: 9, low: 0), TelemetryClient(clientID: "app-0", software: "x"), isLast: true)
        _ = table.take([added("sent", 1)], from: first, app)
        #expect(try values(table, added("sent", 0))["app"] == 1)

        var wide = ClientMetricTable(seriesMax: 100_000)
        let many = (0..<1000).map { gauge("metric.\($0)", 1) }
        let outcome = wide.take(many, from: first, app)
        #expect(outcome.newMetrics.count == ClientMetricTable.namesMax)
        #expect(outcome.dropped == 1000 - ClientMetricTable.gaugesOfInstanceMax)
        #expect(TelemetryClient(clientID: String(repeating: "é", count: 5000), software: "").clientID.utf8.count == 128)
    }
}
