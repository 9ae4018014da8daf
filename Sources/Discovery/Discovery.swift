// SPDX-License-Identifier: Apache-2.0
//
// Discovery.swift
// Keeps this broker's entry in the directory and the address book fresh, until it is stopped.

import Foundation
public import Logging
public import Model
public import NIOCore
public import Settings
import Synchronization
public import Telemetry

/// Finds the addresses of brokers.
///
/// With a static list it knows them at once and does nothing more. Otherwise ``run()`` registers this broker, renews the
/// registration and looks again, each when it is due; what failed is logged and tried again.
public final class Discovery: Sendable {
    /// Told of addresses that are new or different; on any thread.
    public typealias Listener = @Sendable ([PeerAddress]) -> Void

    private let node: NodeID
    private let settings: BrokerSettings.Discovery
    private let makeDirectory: @Sendable () throws(DiscoveryError) -> (any Directory)?
    private let loop: any EventLoop
    private let clock: Clock
    private let logger: Logger
    private let metrics: DiscoveryMetrics
    private let onChange: Listener
    private let state: Mutex<State>

    private struct State {
        var book: AddressBook
        var isStopping = false
        var wake: (@Sendable () -> Void)?
        var isRegistered = false
        var hasLooked = false
        var waiters: [EventLoopPromise<Bool>] = []
    }

    /// Makes the discovery of a broker; `onChange` is first called with what the configuration says.
    public init(
        node: NodeID, cluster: BrokerSettings.Cluster, loop: any EventLoop, clock: Clock = .system,
        metrics: MetricRegistry, logger: Logger, onChange: @escaping Listener
    ) {
        self.node = node
        self.settings = cluster.discovery
        self.loop = loop
        self.clock = clock
        self.logger = logger
        self.metrics = DiscoveryMetrics(metrics)
        self.onChange = onChange
        self.state = Mutex(State(book: AddressBook(node: node, peers: cluster.peers)))
        makeDirectory = { () throws(DiscoveryError) in
            try Self.directory(node: node, cluster: cluster, loop: loop)
        }
    }

    /// The addresses that are known now.
    public var addresses: [NodeID: NetworkAddress] { state.withLock { $0.book.addresses } }

    /// Whether this broker is entered in the directory; true where there is none.
    public var isRegistered: Bool { settings.kind == .static || state.withLock { $0.isRegistered } }

    /// Whether the directory answered at least once; true where there is none.
    public var hasLooked: Bool { settings.kind == .static || state.withLock { $0.hasLooked } }

    /// Waits until this broker is registered and others were asked for, or until the time is over; whether it happened.
    public func waitUntilReady(atMost limit: TimeAmount) async -> Bool {
        if isRegistered, hasLooked { return true }
        let promise = loop.makePromise(of: Bool.self)
        let timer = loop.scheduleTask(in: limit) { promise.succeed(false) }
        state.withLock { $0.waiters.append(promise) }
        defer { timer.cancel() }
        // It is never failed.
        return (try? await promise.futureResult.get()) ?? false
    }

    /// Reports what the configuration says, and works until ``stop()``; then withdraws the registration.
    public func run() async {
        let known = addresses.sorted { $0.key < $1.key }.map { PeerAddress(id: $0.key, address: $0.value) }
        if !known.isEmpty { onChange(known) }
        var directory: any Directory
        do throws(DiscoveryError) {
            guard let made = try makeDirectory() else { return }
            directory = made
        } catch {
            logger.error("Discovery cannot work", metadata: ["reason": "\(error)"])
            return release(false)
        }
        var instance = RegistrationInstance(
            lease: directory.takesRegistrations ? settings.lease : nil, interval: settings.interval, now: clock.now())
        state.withLock { $0.isRegistered = !directory.takesRegistrations }
        while !state.withLock({ $0.isStopping }) {
            let (step, due) = instance.next
            let now = clock.now()
            if due > now {
                await pause(milliseconds: due.milliseconds(since: now) + 1)
                continue
            }
            await carryOut(step, &directory, &instance)
        }
        release(false)
        await directory.withdraw()
    }

    /// Ends ``run()`` soon.
    public func stop() {
        let wake = state.withLock { state in
            state.isStopping = true
            return state.wake
        }
        wake?()
    }

    private func carryOut(
        _ step: RegistrationInstance.Step, _ directory: inout any Directory, _ instance: inout RegistrationInstance
    ) async {
        let wasRegistered = instance.isRegistered
        do throws(DiscoveryError) {
            switch step {
            case .register: try await directory.register()
            case .renew: try await directory.renew()
            case .look: take(try await directory.look())
            }
            instance.finished(step, .done, at: clock.now())
            if step == .register { logger.info("Registered", metadata: ["directory": "\(settings.kind.rawValue)"]) }
        } catch {
            metrics.failures(step).increment()
            instance.finished(step, error == .leaseLost ? .lost : .failed, at: clock.now())
            logger.warning(
                "Discovery failed, and will be tried again",
                metadata: ["step": "\(step)", "directory": "\(settings.kind.rawValue)", "reason": "\(error)"])
        }
        if wasRegistered != instance.isRegistered {
            let isRegistered = instance.isRegistered
            state.withLock { $0.isRegistered = isRegistered }
            metrics.registered.set(isRegistered ? 1 : 0)
        }
        if isRegistered, hasLooked { release(true) }
    }

    /// Tells those who wait.
    private func release(_ isReady: Bool) {
        let waiters = state.withLock { state in
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.succeed(isReady) }
    }

    private func take(_ found: [NodeID: NetworkAddress]) {
        let changed = state.withLock { state in
            state.hasLooked = true
            return state.book.update(found)
        }
        metrics.brokers.set(found.count)
        guard !changed.isEmpty else { return }
        logger.info("Found brokers", metadata: ["brokers": "\(changed.map(\.description).joined(separator: " "))"])
        onChange(changed)
    }

    /// Waits, but not longer than until ``stop()``.
    private func pause(milliseconds: Int64) async {
        let promise = loop.makePromise(of: Void.self)
        let timer = loop.scheduleTask(in: .milliseconds(milliseconds)) { promise.succeed() }
        let isStopping = state.withLock { state in
            state.wake = { [loop] in
                timer.cancel()
                loop.execute { promise.succeed() }
            }
            return state.isStopping
        }
        if isStopping { promise.succeed() }
        // It is never failed.
        try? await promise.futureResult.get()
        state.withLock { $0.wake = nil }
    }
}

extension Discovery {
    /// The directory that the settings name; nil where the configuration is all there is.
    private static func directory(
        node: NodeID, cluster: BrokerSettings.Cluster, loop: any EventLoop
    ) throws(DiscoveryError) -> (any Directory)? {
        let settings = cluster.discovery
        let own = PeerAddress(id: node, address: cluster.peerAdvertised)
        let client = Endpoints(loop: loop, addresses: settings.endpoints)
        switch settings.kind {
        case .static: return nil
        case .dns:
            return DNSDirectory(
                loop: loop, name: settings.name, ids: cluster.peers.map(\.id), port: cluster.peerAdvertised.port,
                servers: settings.endpoints.isEmpty ? NameServers.ofThisMachine() : settings.endpoints)
        case .etcd:
            return EtcdDirectory(client: client, prefix: settings.prefix, own: own, lease: settings.lease)
        case .consul:
            return ConsulDirectory(
                client: client, service: settings.prefix, own: own, lease: settings.lease,
                token: try settings.tokenFile.map { path throws(DiscoveryError) in try Self.token(path) })
        }
    }

    private static func token(_ path: String) throws(DiscoveryError) -> String {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw .notUnderstood("cannot read the token in \(path)")
        }
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

/// What is measured.
private struct DiscoveryMetrics: Sendable {
    let registered: Gauge
    let brokers: Gauge
    private let register: Counter
    private let renew: Counter
    private let look: Counter

    init(_ registry: MetricRegistry) {
        registered = registry.gauge(
            "goulette_discovery_registered", help: "1 while this broker is entered in the directory of brokers.")
        brokers = registry.gauge("goulette_discovery_brokers", help: "Brokers that the directory named last.")
        func failures(_ step: String) -> Counter {
            registry.counter(
                "goulette_discovery_failures_total", help: "Steps of discovery that failed.", labels: ["step": step])
        }
        register = failures("register")
        renew = failures("renew")
        look = failures("look")
    }

    func failures(_ step: RegistrationInstance.Step) -> Counter {
        switch step {
        case .register: register
        case .renew: renew
        case .look: look
        }
    }
}
