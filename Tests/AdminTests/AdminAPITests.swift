// SPDX-License-Identifier: Apache-2.0
//
// AdminAPITests.swift
// The paths under /v1, and the steps of a start.

import Foundation
import Model
import NIOHTTP1
import Synchronization
import Telemetry
import Testing

@testable import Admin

@Suite struct AdminAPITests {
    private static func broker(_ id: Int32) -> BrokerView {
        BrokerView(
            id: id, address: "b\(id):9092", peerAddress: "b\(id):9192", rack: nil, state: "active", drain: nil,
            since: 1, replicas: 3, leaders: 1, isController: id == 1)
    }

    private static let cluster = ClusterView(
        clusterID: "c", answeredBy: 1, controller: 1, controllerVoters: [1, 2, 3], brokers: 3, activeBrokers: 3,
        topics: 1, partitions: 12, leaderless: 0, reassigning: 0, lastOperation: 9)

    private func routes(_ change: (inout AdminAPI) -> Void) -> AdminRoutes {
        let routes = AdminRoutes(metrics: MetricRegistry(), health: HealthState())
        var api = AdminAPI()
        change(&api)
        routes.serve(api)
        return routes
    }

    private func ask(_ routes: AdminRoutes, _ method: HTTPMethod, _ uri: String) -> AdminResponse {
        let answer = Mutex<AdminResponse?>(nil)
        routes.respond(to: AdminRequest(method: method, uri: uri)) { response in answer.withLock { $0 = response } }
        return answer.withLock { $0 } ?? .problem(.internalServerError, "no answer")
    }

    @Test func whatTheBrokerDoesNotGiveIsNotServed() {
        let routes = routes { _ in }
        for path in ["cluster", "brokers", "brokers/1", "operations", "topics/t/leader", "rebalance", "nothing", ""] {
            #expect(ask(routes, .GET, "/v1/\(path)").status == .notFound, "\(path)")
        }
    }

    @Test func viewsAreJSONThatReadsBack() throws {
        let routes = routes {
            $0.cluster = { $0(.success(Self.cluster)) }
            $0.brokers = { $0(.success([Self.broker(1), Self.broker(2)])) }
        }
        let cluster = ask(routes, .GET, "/v1/cluster")
        #expect(try JSONDecoder().decode(ClusterView.self, from: Data(cluster.body.utf8)) == Self.cluster)
        #expect(cluster.contentType == "application/json")
        let brokers = ask(routes, .GET, "/v1/brokers")
        #expect(try JSONDecoder().decode([BrokerView].self, from: Data(brokers.body.utf8)).count == 2)
        let one = ask(routes, .GET, "/v1/brokers/2")
        #expect(try JSONDecoder().decode(BrokerView.self, from: Data(one.body.utf8)) == Self.broker(2))
        #expect(ask(routes, .GET, "/v1/brokers/3").status == .notFound)
        #expect(ask(routes, .POST, "/v1/cluster").status == .methodNotAllowed)
    }

    @Test func ordersReachTheBroker() {
        let orders = Mutex<[String]>([])
        let routes = routes {
            $0.order = { id, order, answer in
                orders.withLock { $0.append("\(order) \(id)") }
                answer(id == 9 ? .failure(AdminProblem(.conflict, "no")) : .success(Self.broker(id)))
            }
        }
        for order in BrokerOrder.allCases {
            #expect(ask(routes, .POST, "/v1/brokers/2/\(order.rawValue)").status == .ok)
        }
        #expect(orders.withLock { $0 } == ["drain 2", "resume 2", "decommission 2"])
        #expect(ask(routes, .GET, "/v1/brokers/2/drain").allow == "POST")
        #expect(ask(routes, .POST, "/v1/brokers/2/explode").status == .notFound)
        #expect(ask(routes, .POST, "/v1/brokers/x/drain").status == .notFound)
        let refused = ask(routes, .POST, "/v1/brokers/9/drain")
        #expect(refused.status == .conflict && refused.body == "{\"error\":\"no\"}\n")
    }

    @Test func queriesAreChecked() {
        let asked = Mutex<[String]>([])
        let routes = routes {
            $0.operations = { after, limit, answer in
                asked.withLock { $0.append("\(after) \(limit)") }
                answer(.success([]))
            }
            $0.leaders = { topic, unreachable, answer in
                asked.withLock { $0.append("\(topic) \(unreachable)") }
                answer(.success(TopicLeadersView(topic: topic, partitions: [], failed: [], reachable: [])))
            }
        }
        #expect(ask(routes, .GET, "/v1/operations").body == "[]\n")
        #expect(ask(routes, .GET, "/v1/operations?after=7&limit=5").status == .ok)
        #expect(ask(routes, .GET, "/v1/operations?limit=0").status == .badRequest)
        #expect(ask(routes, .GET, "/v1/operations?after=x").status == .badRequest)
        #expect(ask(routes, .GET, "/v1/topics/a%2Fb%20c/leader?unreachable=1,2").status == .ok)
        #expect(ask(routes, .GET, "/v1/topics/t/leader?unreachable=1,x").status == .badRequest)
        #expect(asked.withLock { $0 } == ["0 100", "7 5", "a/b c [1, 2]"])
    }

    @Test func metricsDoNotGrowWithNames() {
        func label(_ uri: String) -> String { AdminRoutes.label(AdminRequest(method: .GET, uri: uri)) }
        #expect(label("/v1/topics/some-name/leader") == "/v1/topics")
        #expect(label("/v1/brokers/77/drain") == "/v1/brokers")
        #expect(label("/health/ready?x=1") == "/health/ready")
        #expect(label("/made/up") == "other")
        #expect(label("/") == "other")
    }

    @Test func stepsOfTheStartAreTold() {
        let clock = ManualClock()
        let health = HealthState(clock: clock.clock)
        let routes = AdminRoutes(metrics: MetricRegistry(), health: health)
        health.set("broker", .unhealthy(reason: "the broker is starting"))
        clock.advance(milliseconds: 5)
        #expect(health.finish(.configuration) == 5)
        clock.advance(milliseconds: 20)
        health.finish(.directories)
        let starting = ask(routes, .GET, "/health")
        #expect(starting.status == .serviceUnavailable)
        #expect(starting.body.contains("\"phase\":\"store\""))
        #expect(starting.body.contains("{\"phase\":\"directories\",\"milliseconds\":20}"))
        for phase in StartupPhase.allCases.dropFirst(2) { health.finish(phase) }
        health.set("broker", .healthy)
        let ready = ask(routes, .GET, "/health")
        #expect(ready.status == .ok && ready.body.contains("\"phase\":null"))
        #expect(!ask(routes, .GET, "/health/ready").body.contains("phase"))
    }
}
