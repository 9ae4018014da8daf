// SPDX-License-Identifier: Apache-2.0
//
// BrokerService.swift
// Wires the parts of a broker in the order data flows, runs them until a signal, and stops them in reverse.

import Admin
import Broker
import Foundation
import KafkaServer
import LogStore
import Logging
import Model
import NIOCore
import NIOPosix
import ServiceLifecycle
import Settings
import Synchronization
import Telemetry
import Terminal
import UnixSignals

/// A running broker.
struct BrokerService: Service, CustomStringConvertible {
    let settings: BrokerSettings
    let resolved: ResolvedSettings
    let logs: LogSystem
    let reload: SettingsReload

    var description: String { "broker" }

    /// How long a stop may wait for requests that are being served.
    static let drainSeconds: Int64 = 10

    /// Starts everything, waits for a graceful shutdown, stops everything.
    ///
    /// - Throws: ``StartFailure`` with the exit code.
    func run() async throws {
        let logger = logs.logger("goulette")
        // Before anything else: a signal during the start waits for its end.
        let hangups = await UnixSignalsSequence(trapping: .sighup)
        let registry = MetricRegistry()
        ProcessMetrics.register(in: registry, version: Version.text, revision: Version.revision, clock: .system)
        logs.register(in: registry)
        let startup = Startup(
            health: HealthState(
                phases: settings.cluster == nil ? StartupPhase.withoutCluster : StartupPhase.allCases), logger: logger)
        let health = startup.health
        startup.finish(.configuration)
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: settings.eventLoopCount)
        let validators = MultiThreadedEventLoopGroup(numberOfThreads: settings.validationThreadCount)
        let threads = NIOThreadPool(numberOfThreads: 4)
        threads.start()
        let admin = try await startAdmin(registry, health)
        let failed = FailureSignal()
        try checkDirectory()
        startup.finish(.directories)
        let store = try openStore(registry)
        startup.finish(.store)
        let network = settings.cluster.map {
            ClusterNetwork(settings, $0, loops: loops, registry: registry, logs: logs)
        }
        try await network?.start(startup)
        let started = try await startBroker(
            store, registry, loops, validators, threads, failed, network?.parts(startup))
        let ground = Ground(
            network: network, store: store, admin: admin, threads: threads, validators: validators, loops: loops)
        guard let broker = started else {
            try await ground.close()
            return logger.info("Stopped before the start was complete")
        }
        Self.watch(store, health)
        if network != nil { startup.finish(.controller) }
        startup.finish(.groups)
        let server = try await startServer(broker, registry, loops)
        startup.finish(.listeners)
        health.set("broker", .healthy)
        let watch = network.map { ClusterWatch(broker, $0, startup) }
        if let watch { watch.start(on: loops.next()) } else { startup.finish(.active) }
        admin?.serve(AdminAPI(broker, node: settings.node.id))
        let reloading = Task {
            await reload.run(on: hangups) { settings in
                logs.setLevel(Self.logLevel(settings.typed()))
                broker.adopt(settings)
            }
        }
        announce(server, admin, logger)

        let failure = await failed.waitOrShutdown()

        health.set("broker", .unhealthy(reason: "the broker is stopping"))
        logger.info("Stopping", metadata: ["reason": "\(failure.map { "\($0)" } ?? "signal")"])
        reloading.cancel()
        watch?.stop()
        // Leaders leave first, so that clients find the new ones while their last requests are answered here.
        await withCheckedContinuation { done in broker.prepareToStop { done.resume() } }
        await server.drain(seconds: Self.drainSeconds)
        await withCheckedContinuation { done in broker.stop { done.resume() } }
        try await ground.close()
        logger.info("Stopped")
        if let failure { throw StartFailure(failure, partition: nil) }
    }

    /// What a broker stands on.
    private struct Ground {
        let network: ClusterNetwork?
        let store: LogStore
        let admin: AdminServer?
        let threads: NIOThreadPool
        let validators: MultiThreadedEventLoopGroup
        let loops: MultiThreadedEventLoopGroup

        /// Lets go of all of it, after the broker has stopped.
        func close() async throws {
            await network?.stop()
            store.close()
            await admin?.stop()
            try await threads.shutdownGracefully()
            try await validators.shutdownGracefully()
            try await loops.shutdownGracefully()
        }
    }

    /// Has the health tell when the disk is full.
    private static func watch(_ store: LogStore, _ health: HealthState) {
        health.register("storage") {
            let ballast = "the ballast of the disk reserve is given back"
            guard let full = store.diskFull else {
                return store.isBallastReleased ? .degraded(reason: ballast) : .healthy
            }
            return .degraded(reason: "produce is refused\(store.isBallastReleased ? " and \(ballast)" : ""): \(full)")
        }
    }

    /// The level of the log in `settings`.
    static func logLevel(_ settings: BrokerSettings) -> Logger.Level {
        Logger.Level(rawValue: settings.log.level.rawValue) ?? .info
    }

    /// The store makes its directories itself, durably; a file in their place is told apart from a store's trouble.
    private func checkDirectory() throws {
        let attributes = try? FileManager.default.attributesOfItem(atPath: settings.storage.directory)
        guard attributes?[.type] as? FileAttributeType == .typeRegular else { return }
        throw StartFailure(
            Failure(
                "Cannot open the data directory", place: "\(settings.storage.directory) is a file",
                advice: "Choose another with --data.", exitCode: .failed))
    }

    private func openStore(_ registry: MetricRegistry) throws -> LogStore {
        do throws(StoreError) {
            return try LogStore.open(StoreSettings(settings), metrics: registry, logger: logs.logger("goulette.store"))
        } catch {
            throw StartFailure(error, partition: nil)
        }
    }

    /// Starts the broker; nil when it was told to stop meanwhile, which may be while it waits for others.
    private func startBroker(
        _ store: LogStore, _ registry: MetricRegistry, _ loops: MultiThreadedEventLoopGroup,
        _ validators: MultiThreadedEventLoopGroup, _ threads: NIOThreadPool, _ failed: FailureSignal,
        _ cluster: ClusterParts?
    ) async throws -> Broker? {
        let logs = logs
        let parts = BrokerParts(
            settings: resolved, store: store, loops: loops.makeIterator().map { $0 },
            validators: validators.makeIterator().map { $0 }, registry: registry, clock: .system,
            runBlocking: { body in threads.submit { state in if state == .active { body() } } },
            logger: { logs.logger($0) }, onStorageFailure: { failed.signal($0) },
            cluster: cluster)
        let gate = StartGate()
        let result = await withGracefulShutdownHandler {
            await withCheckedContinuation { done in
                gate.began(Broker.start(parts) { done.resume(returning: $0) })
            }
        } onGracefulShutdown: {
            gate.stop()
        }
        switch result {
        case .success(let broker): return broker
        case .failure(.stopped): return nil
        case .failure(.store(let error, let partition)): throw StartFailure(error, partition: partition)
        case .failure(.refused(let refusal)):
            throw StartFailure(
                Failure(
                    "The controller did not start", place: refusal.message,
                    advice: "See the log above for what happened first.", exitCode: .failed))
        }
    }

    /// Sockets come last: a client that can connect is served.
    private func startServer(
        _ broker: Broker, _ registry: MetricRegistry, _ loops: MultiThreadedEventLoopGroup
    ) async throws -> KafkaServer {
        let node = settings.node.id
        let server = KafkaServer(
            settings: ListenerSettings(settings.listeners), group: loops, metrics: registry,
            logger: logs.logger("goulette.server"),
            handler: { request, reply in
                let call = Call(
                    header: request.header, loop: request.context.eventLoop,
                    advertised: BrokerAddress(
                        id: node, host: request.context.listener.advertisedHost,
                        port: Int32(request.context.listener.advertisedPort)),
                    peer: request.context.peerAddress, receivedAt: request.receivedAt,
                    answer: Answer(
                        send: { reply.complete($0) }, close: { reply.closeConnection($0) },
                        onDisconnect: { reply.onDisconnect($0) }),
                    software: request.context.software, connection: request.context.end)
                broker.handle(call, body: request.body)
            })
        do {
            _ = try await server.start()
        } catch {
            throw Self.cannotListen(on: "\(settings.listeners.kafka)", error)
        }
        return server
    }

    private func startAdmin(
        _ registry: MetricRegistry, _ health: HealthState
    ) async throws -> AdminServer? {
        guard let address = settings.adminListen else { return nil }
        health.set("broker", .unhealthy(reason: "the broker is starting"))
        let admin = AdminServer(
            settings: AdminSettings(host: address.host, port: address.port), metrics: registry, health: health,
            logger: logs.logger("goulette.admin"))
        do {
            _ = try await admin.start()
        } catch {
            throw Self.cannotListen(on: "\(address)", error)
        }
        return admin
    }

    private static func cannotListen(on address: String, _ error: any Error) -> StartFailure {
        StartFailure(
            Failure(
                "Cannot listen on \(address)", place: "\(error)",
                advice: "Stop what uses the address, or choose another with --listen or --admin.", exitCode: .failed))
    }

    /// Says how to connect, to people on a terminal and to the log.
    private func announce(_ server: KafkaServer, _ admin: AdminServer?, _ logger: Logger) {
        let advertised = settings.listeners.advertised
        logger.info(
            "Ready",
            metadata: [
                "listen": "\(settings.listeners.kafka)", "advertised": "\(advertised)",
                "admin": "\(settings.adminListen.map { "\($0)" } ?? "-")", "data": "\(settings.storage.directory)",
            ])
        if advertised.isLoopback, !settings.listeners.kafka.isLoopback {
            logger.warning(
                "Clients on other machines will be told to connect to a loopback address",
                metadata: ["advertised": "\(advertised)", "try": "--advertise HOST:PORT"])
        }
        guard FileOutput.standardOutput.isTerminal else { return }
        let adminLine = settings.adminListen.map { "\n  metrics    curl http://\($0)/metrics" } ?? ""
        try? FileOutput.standardOutput.write(
            """

            goulette \(Version.text) is ready on \(advertised), data in \(settings.storage.directory)

              produce    echo hello | kcat -b \(advertised) -t greetings -P
              consume    kcat -b \(advertised) -t greetings -C -e
              topics     goulette topic list -b \(advertised)\(adminLine)


            """)
    }
}

/// Tells the steps of the start to the log and to `/health`.
struct Startup: Sendable {
    let health: HealthState
    let logger: Logger

    /// Takes note that a step is done.
    func finish(_ phase: StartupPhase) {
        let milliseconds = health.finish(phase)
        logger.info("Start-up", metadata: ["done": "\(phase.rawValue)", "milliseconds": "\(milliseconds)"])
    }
}

/// Gives a start up that is told to stop, whichever comes first.
private final class StartGate: Sendable {
    private let state = Mutex<(start: BrokerStart?, isStopping: Bool)>((nil, false))

    func began(_ start: BrokerStart) {
        let isStopping = state.withLock { state in
            state.start = start
            return state.isStopping
        }
        if isStopping { start.abandon() }
    }

    func stop() {
        let start = state.withLock { state in
            state.isStopping = true
            return state.start
        }
        start?.abandon()
    }
}

/// The store's failure, which ends the process as a signal would, but with its own exit code.
private final class FailureSignal: Sendable {
    private let stream: AsyncStream<StoreError>
    private let continuation: AsyncStream<StoreError>.Continuation

    init() { (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(1)) }

    func signal(_ error: StoreError) { continuation.yield(error) }

    /// Returns nil at a graceful shutdown.
    func waitOrShutdown() async -> StoreError? {
        let continuation = continuation
        return await withGracefulShutdownHandler {
            for await error in stream { return error }
            return nil
        } onGracefulShutdown: {
            continuation.finish()
        }
    }
}
