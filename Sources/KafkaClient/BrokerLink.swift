// SPDX-License-Identifier: Apache-2.0
//
// BrokerLink.swift
// The way to one broker: connects when it is first needed, agrees on versions, and connects again after a loss.
// Confined to one event loop.

import KafkaProtocol
import NIOCore
import NIOPosix

/// A connection that is made on demand, with the versions its broker speaks.
final class BrokerLink {
    /// The versions that client and broker share, highest first choice.
    struct Versions {
        /// The highest version of an API that the client asks in, where that is not the highest it can read: it names
        /// topics, groups and keys in the form that these versions have, and takes a group that is absent for a dead one.
        private static let highest: [APIKey: Int16] = [
            .produce: 12, .fetch: 12, .offsetCommit: 9, .offsetFetch: 7, .findCoordinator: 3, .describeGroups: 5,
            .deleteTopics: 5,
        ]

        private var ranges: [Int16: ClosedRange<Int16>] = [:]

        init(_ response: ApiVersionsResponse) {
            for api in response.apiKeys where api.minVersion <= api.maxVersion {
                ranges[api.apiKey] = api.minVersion...api.maxVersion
            }
        }

        /// The highest version both sides know; nil when there is none.
        func best(for key: APIKey) -> Int16? {
            guard let theirs = ranges[key.rawValue] else { return nil }
            let served = APIRegistry[key].served
            let ours = served.lowerBound...(Self.highest[key] ?? served.upperBound)
            guard theirs.overlaps(ours) else { return nil }
            return theirs.clamped(to: ours).upperBound
        }
    }

    private typealias Waiter = (Result<Void, ClientError>) -> Void

    private enum State {
        case idle
        case connecting([Waiter])
        case ready(BrokerConnection, Versions)
        case closed
    }

    private static let waitersMax = 10_000

    let address: BrokerAddress
    private let settings: ClientSettings
    private let loop: NIOIsolatedEventLoop
    private let eventLoop: any EventLoop
    private var state = State.idle

    init(address: BrokerAddress, settings: ClientSettings, eventLoop: any EventLoop) {
        self.address = address
        self.settings = settings
        self.eventLoop = eventLoop
        self.loop = eventLoop.assumeIsolated()
    }

    /// Sends `request` in the best common version, connecting first if need be.
    ///
    /// `completion` runs once, on the loop.
    func send<Request: KafkaRequestMessage>(
        _ request: Request, timeoutMilliseconds: Int64,
        completion: @escaping (Result<Request.Response, ClientError>) -> Void
    ) {
        whenReady { result in
            guard case .success = result, case .ready(let connection, let versions) = self.state else {
                return completion(.failure(result.failure ?? self.error(.connectionLost, Request.apiKey.name)))
            }
            guard let version = versions.best(for: Request.apiKey) else {
                return completion(.failure(self.error(.unsupportedVersion, Request.apiKey.name)))
            }
            connection.send(request, version: version, timeoutMilliseconds: timeoutMilliseconds) { frame in
                completion(self.decode(frame, as: Request.self, version: version))
            }
        }
    }

    /// Sends a request that has no answer; `completion` runs when it was handed to the socket.
    func sendOneWay<Request: KafkaRequestMessage>(
        _ request: Request, completion: @escaping (Result<Void, ClientError>) -> Void
    ) {
        whenReady { result in
            guard case .success = result, case .ready(let connection, let versions) = self.state,
                let version = versions.best(for: Request.apiKey)
            else { return completion(.failure(result.failure ?? self.error(.connectionLost, Request.apiKey.name))) }
            connection.sendOneWay(request, version: version, completion: completion)
        }
    }

    /// Closes the connection for good; what waits fails.
    func close() {
        let old = state
        state = .closed
        switch old {
        case .idle, .closed: break
        case .connecting(let waiters): for waiter in waiters { waiter(.failure(error(.closed, "connect"))) }
        case .ready(let connection, _): connection.close(.closed)
        }
    }

    /// Whether the link has a connection that works.
    var isReady: Bool {
        if case .ready = state { return true }
        return false
    }

    // MARK: Connecting

    private func whenReady(_ waiter: @escaping Waiter) {
        switch state {
        case .ready(let connection, _) where connection.isOpen: waiter(.success(()))
        case .closed: waiter(.failure(error(.closed, "connect")))
        case .connecting(var waiters):
            guard waiters.count < Self.waitersMax else { return waiter(.failure(error(.unreachable, "connect"))) }
            waiters.append(waiter)
            state = .connecting(waiters)
        case .idle, .ready:
            state = .connecting([waiter])
            connect()
        }
    }

    private func connect() {
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(.milliseconds(settings.connectTimeoutMilliseconds))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(
                .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 4096, initial: 65_536, maximum: 1 << 20)
            )
            .channelOption(.writeBufferWaterMark, value: .init(low: 1 << 20, high: 8 << 20))
        bootstrap.connect(host: address.host, port: address.port).assumeIsolated().whenComplete { result in
            switch result {
            case .failure(let cause): self.fail(self.error(.unreachable, "connect", "\(cause)"))
            case .success(let channel): self.connected(channel)
            }
        }
    }

    private func connected(_ channel: any Channel) {
        guard case .connecting = state else { return channel.close(promise: nil) }
        let connection = BrokerConnection(address: address, settings: settings) { self.lost($0) }
        do {
            try channel.pipeline.syncOperations.addHandler(connection)
        } catch {
            return fail(self.error(.unreachable, "connect", "\(error)"))
        }
        negotiate(connection, version: APIRegistry[.apiVersions].served.upperBound, mayRetry: true)
    }

    /// Asks for the broker's versions.
    ///
    /// A broker that does not know ours answers in version 0 with error 35 and, in the entry for this API, the versions
    /// to try (KIP-511).
    private func negotiate(_ connection: BrokerConnection, version: Int16, mayRetry: Bool) {
        let request = ApiVersionsRequest(clientSoftwareName: "goulette", clientSoftwareVersion: "1")
        connection.send(request, version: version, timeoutMilliseconds: settings.connectTimeoutMilliseconds) { result in
            switch result {
            case .failure(let error):
                connection.close(.unreachable)
                self.fail(error)
            case .success(let frame): self.negotiated(connection, frame, version: version, mayRetry: mayRetry)
            }
        }
    }

    private func negotiated(_ connection: BrokerConnection, _ frame: ByteBuffer, version: Int16, mayRetry: Bool) {
        let code = frame.getInteger(at: frame.readerIndex + 4, as: Int16.self)
        let refused = code == KafkaErrorCode.unsupportedVersion.rawValue
        let decoded = try? ResponseDecoder.decode(ApiVersionsResponse.self, from: frame, version: refused ? 0 : version)
        if refused, mayRetry {
            // Some brokers refuse in a form that cannot be read; every broker knows version 0.
            let next = decoded.flatMap { Versions($0).best(for: .apiVersions) } ?? 0
            return negotiate(connection, version: next < version ? next : 0, mayRetry: false)
        }
        guard let response = decoded else {
            connection.close(.malformedResponse)
            return fail(error(.malformedResponse, "ApiVersions"))
        }
        guard response.errorCode == .none else {
            connection.close(.unsupportedVersion)
            return fail(
                ClientError(refused: response.errorCode, attempted: "ApiVersions", place: address.description))
        }
        ready(connection, Versions(response))
    }

    private func ready(_ connection: BrokerConnection, _ versions: Versions) {
        guard case .connecting(let waiters) = state else { return connection.close(.closed) }
        state = .ready(connection, versions)
        for waiter in waiters { waiter(.success(())) }
    }

    private func fail(_ error: ClientError) {
        guard case .connecting(let waiters) = state else { return }
        state = .idle
        for waiter in waiters { waiter(.failure(error)) }
    }

    private func lost(_ connection: BrokerConnection) {
        if case .ready(let current, _) = state, current === connection { state = .idle }
    }

    // MARK: Answers

    private func decode<Request: KafkaRequestMessage>(
        _ result: Result<ByteBuffer, ClientError>, as _: Request.Type, version: Int16
    ) -> Result<Request.Response, ClientError> {
        switch result {
        case .failure(let error): return .failure(error)
        case .success(let frame):
            do {
                return .success(try ResponseDecoder.decode(Request.Response.self, from: frame, version: version))
            } catch {
                return .failure(self.error(.malformedResponse, Request.apiKey.name, "version \(version): \(error)"))
            }
        }
    }

    private func error(_ code: ClientError.Code, _ attempted: String, _ detail: String? = nil) -> ClientError {
        ClientError(code, attempted: attempted, place: address.description, detail: detail)
    }
}

extension Result {
    /// The error, when there is one.
    var failure: Failure? {
        if case .failure(let error) = self { return error }
        return nil
    }
}
