// SPDX-License-Identifier: Apache-2.0
//
// Broker.swift
// Assembly and life of a broker: store, shards, controller, group coordinator; then requests; then a clean stop.

import KafkaProtocol
package import LogStore
package import Logging
package import Model
package import NIOCore
import Raft
import Replication
package import Settings
package import Telemetry

/// What a broker is made of that it does not make itself.
package struct BrokerParts: Sendable {
    package let settings: CurrentSettings
    package let store: LogStore
    package let loops: [any EventLoop]
    /// Where compressed batches are checked; none checks them on `loops`.
    package let validators: [any EventLoop]
    package let registry: MetricRegistry
    package let clock: Clock
    /// Runs a closure on a thread that may block.
    package let runBlocking: @Sendable (@escaping @Sendable () -> Void) -> Void
    package let logger: @Sendable (String) -> Logger
    /// Told once when the broker's own log cannot be written any more: the process has to end (storage rule R8).
    package let onStorageFailure: @Sendable (StoreError) -> Void
    /// Nil for a broker that is alone.
    package let cluster: ClusterParts?

    package init(
        settings: ResolvedSettings, store: LogStore, loops: [any EventLoop],
        validators: [any EventLoop] = [], registry: MetricRegistry, clock: Clock,
        runBlocking: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void,
        logger: @escaping @Sendable (String) -> Logger, onStorageFailure: @escaping @Sendable (StoreError) -> Void,
        cluster: ClusterParts? = nil
    ) {
        self.settings = CurrentSettings(settings)
        self.store = store
        self.loops = loops
        self.validators = validators
        self.registry = registry
        self.clock = clock
        self.runBlocking = runBlocking
        self.logger = logger
        self.onStorageFailure = onStorageFailure
        self.cluster = cluster
    }
}

/// A broker that serves requests.
///
/// The controller and the group coordinator live on the first event loop; partitions on all of them.
package final class Broker: Sendable {
    /// As it was started; what a reload may change, a shard knows.
    let settings: BrokerSettings
    package let node: NodeID
    package let shards: ShardDirectory
    let metrics: BrokerMetrics
    let clientTelemetry: ClientTelemetry
    let shareMetrics: ShareMetrics
    let shareSessions: ShareSessions
    let clock: Clock
    let logger: Logger
    private let store: LogStore
    let home: any EventLoop
    let control: NIOLoopBound<ControlPlane>
    let published: PublishedHandles
    /// Nil for a broker that is alone.
    let forwarder: RequestForwarder?
    private let cluster: ClusterParts?

    private init(
        _ parts: BrokerParts, shards: ShardDirectory, control: NIOLoopBound<ControlPlane>, metrics: BrokerMetrics,
        published: PublishedHandles
    ) {
        self.settings = parts.settings.typed
        self.node = settings.node.id
        self.shards = shards
        self.metrics = metrics
        self.clientTelemetry = ClientTelemetry(
            registry: parts.registry, seriesMax: settings.limits.maxMetricSeries, runBlocking: parts.runBlocking)
        self.shareMetrics = ShareMetrics(registry: parts.registry)
        self.shareSessions = ShareSessions(metrics: shareMetrics)
        self.clock = parts.clock
        self.logger = parts.logger("goulette.broker")
        self.store = parts.store
        self.home = parts.loops[0]
        self.control = control
        self.published = published
        self.cluster = parts.cluster
        self.forwarder = parts.cluster.map { [node] cluster in
            RequestForwarder(
                node: node, link: cluster.link, clock: parts.clock, forwarded: metrics.forwarded,
                leader: { loop in shards.shard(on: loop).leaders[.controller]?.leader })
        }
    }

    // MARK: Start

    /// Recovers the broker's groups and partitions; `then` runs on the first event loop when requests can be served.
    ///
    /// What is returned can give the start up; then `then` runs on any thread.
    @discardableResult
    package static func start(
        _ parts: BrokerParts, then: @escaping @Sendable (Result<Broker, HostFailure>) -> Void
    ) -> BrokerStart {
        precondition(!parts.loops.isEmpty, "a broker needs an event loop")
        let start = BrokerStart(then: then)
        parts.runBlocking {
            do throws(StoreError) {
                guard let cluster = parts.cluster, try RecoveredControl.isBlank(parts.store) else {
                    parts.cluster?.entered()
                    return try recover(parts, .known, start)
                }
                parts.loops[0].execute { enter(parts, cluster, start) }
            } catch {
                start.end(.failure(.store(error, partition: nil)))
            }
        }
        return start
    }

    /// Finds out whether there is a cluster, which has to take a broker in that has nothing stored.
    private static func enter(_ parts: BrokerParts, _ cluster: ClusterParts, _ start: BrokerStart) {
        let entrance = ClusterEntrance(
            cluster, BrokerRegistration(parts, cluster, isBlank: true), loop: parts.loops[0], clock: parts.clock,
            logger: parts.logger("goulette.controller")
        ) { outcome in
            guard start.isWanted else { return }
            cluster.entered()
            parts.runBlocking {
                do throws(StoreError) {
                    try recover(parts, outcome, start)
                } catch {
                    start.end(.failure(.store(error, partition: nil)))
                }
            }
        }
        entrance.start()
    }

    private static func recover(
        _ parts: BrokerParts, _ entrance: ClusterEntrance.Outcome, _ start: BrokerStart
    ) throws(StoreError) {
        guard start.isWanted else { return }
        let recovered = try RecoveredControl(parts.store, entrance)
        makeShards(parts) { shards in
            parts.loops[0].execute { assemble(parts, recovered, shards, start) }
        }
    }

    /// Makes each shard on its own loop.
    private static func makeShards(_ parts: BrokerParts, then: @escaping @Sendable (ShardDirectory) -> Void) {
        let empty = ClusterImage(clusterID: "", node: parts.settings.typed.node.id, controller: nil, topics: [:])
        let waiting = parts.registry.gauge(
            "goulette_batches_validating", help: "Compressed batches that are being checked, or wait for it.")
        let validator = BatchValidator(loops: parts.validators, waiting: waiting)
        let governor = RecoveryGovernor(parts.cluster?.hosting.recovery ?? RecoverySettings())
        let hostMetrics = GroupHostMetrics(parts.cluster == nil ? nil : parts.registry)
        typealias Made = (shard: NIOLoopBound<Shard>, host: NIOLoopBound<GroupHost>?)
        let gathering = Gathering<Made>(count: parts.loops.count) { made in
            let hosts = made.compactMap(\.host)
            let all = hosts.isEmpty ? nil : GroupHosts(hosts, loops: parts.loops)
            then(ShardDirectory(made.map(\.shard), loops: parts.loops, hosts: all))
        }
        for (number, loop) in parts.loops.enumerated() {
            loop.execute {
                let host = parts.cluster.map { cluster in
                    GroupHost(
                        node: parts.settings.typed.node.id, loop: loop, link: cluster.link, settings: cluster.hosting,
                        governor: governor, metrics: hostMetrics, logger: parts.logger("goulette.replication"))
                }
                host?.start()
                // Whoever guesses another client's session could end it: the seed is not to be guessed.
                let sessions = FetchSessionTable(
                    limits: .init(sessionsMax: parts.settings.typed.limits.maxFetchSessions).share(
                        of: parts.loops.count),
                    number: number, of: parts.loops.count, seed: .random(in: 0 ... .max))
                let shard = Shard(
                    number: number, loop: loop, clock: parts.clock, image: empty, settings: parts.settings,
                    validator: validator, host: host, fetchSessions: sessions)
                gathering.set(
                    number,
                    (NIOLoopBound(shard, eventLoop: loop), host.map { NIOLoopBound($0, eventLoop: loop) }))
            }
        }
    }

    private static func assemble(
        _ parts: BrokerParts, _ recovered: RecoveredControl, _ shards: ShardDirectory, _ start: BrokerStart
    ) {
        let loop = parts.loops[0]
        let metrics = BrokerMetrics(registry: parts.registry, seriesMax: parts.settings.typed.limits.maxMetricSeries)
        let published = PublishedHandles()
        let plane = ControlPlane(parts, recovered, shards, metrics, published)
        let control = NIOLoopBound(plane, eventLoop: loop)
        let broker = Broker(parts, shards: shards, control: control, metrics: metrics, published: published)
        guard start.assembled(broker) else { return }
        broker.registerMetrics(parts.registry)
        broker.surroundTransactions(plane.transactions)
        broker.serveShareGroups()
        if let cluster = parts.cluster { broker.join(cluster) }
        plane.coordinator.start(waitsForLeadership: parts.cluster == nil) { error in
            if let error { return start.end(.failure(.store(error, partition: nil))) }
            plane.controller.start { failure in
                if let failure { return start.end(.failure(failure)) }
                guard start.isWanted else { return }
                plane.startTimers(broker)
                start.end(.success(broker))
            }
        }
    }

    // MARK: Control plane

    /// Runs `body` with the controller on its loop.
    package func withController(_ body: @escaping @Sendable (Controller) -> Void) {
        if home.inEventLoop { return body(control.value.controller) }
        home.execute { [control] in body(control.value.controller) }
    }

    /// Runs `body` with the group coordinator on its loop.
    func withCoordinator(_ body: @escaping @Sendable (GroupCoordinator) -> Void) {
        if home.inEventLoop { return body(control.value.coordinator) }
        home.execute { [control] in body(control.value.coordinator) }
    }

    /// Hands out a producer id, or nil when the controller grants none.
    func producerIDs(_ then: @escaping @Sendable (ProducerID?) -> Void) {
        if home.inEventLoop { return control.value.takeProducerID(then) }
        home.execute { [control] in control.value.takeProducerID(then) }
    }

    // MARK: Stop

    /// Answers what is parked, writes the producers' state and lets go of every log.
    ///
    /// The store is closed by its owner, after `then`.
    package func stop(then: @escaping @Sendable () -> Void) {
        prepareToStop { [self] in
            stopAll { [self] in
                cluster?.inbox.unbind()
                then()
            }
        }
    }

    /// Hands leadership over to other brokers, so that clients go there while the last requests are answered here; a
    /// broker that is alone has nobody.
    ///
    /// `then` runs once on the first event loop, in any case within a few tenths of a second. ``stop(then:)`` does this too.
    package func prepareToStop(then: @escaping @Sendable () -> Void) {
        home.execute { [self] in
            if cluster == nil { then() } else { handOver(then: then) }
        }
    }

    private func stopAll(then: @escaping @Sendable () -> Void) {
        control.value.stop()
        let gathering = Gathering<Void>(count: shards.count) { _ in then() }
        for number in 0..<shards.count {
            shards.execute(on: number) { shard in
                shard.stopAll { gathering.set(number, ()) }
            }
        }
    }
}
