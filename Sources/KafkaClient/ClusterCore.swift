// SPDX-License-Identifier: Apache-2.0
//
// ClusterCore.swift
// The connections and the metadata of one client, confined to one event loop.

import KafkaProtocol
import Model
import NIOCore

/// Which connection to a broker a request takes.
///
/// Requests that park at the broker must not hold up the others.
enum Lane: Hashable {
    case general
    case fetch
    case group
}

/// Whom a request is for.
enum Target: Hashable, Sendable {
    /// Any broker that can be reached.
    case any
    /// The broker that takes administrative calls.
    case controller
    /// A certain broker.
    case node(NodeID)
}

/// Everything of a client that belongs to its event loop.
final class ClusterCore {
    private struct LinkKey: Hashable {
        let address: BrokerAddress
        let lane: Lane
    }

    typealias MetadataCompletion = (Result<ClusterMetadata, ClientError>) -> Void

    let settings: ClientSettings
    let eventLoop: any EventLoop
    let loop: NIOIsolatedEventLoop
    private(set) var metadata = ClusterMetadata()
    private var links: [LinkKey: BrokerLink] = [:]
    private var bootstrapTurn = 0
    private var refreshTopics: Set<String> = []
    private var refreshWaiters: [MetadataCompletion] = []
    private var refreshIsRunning = false
    private var isClosed = false

    init(settings: ClientSettings, eventLoop: any EventLoop) {
        precondition(!settings.bootstrap.isEmpty, "a client without brokers to begin with")
        self.settings = settings
        self.eventLoop = eventLoop
        self.loop = eventLoop.assumeIsolated()
    }

    // MARK: Requests

    /// Sends `request` once, without retries.
    ///
    /// `completion` runs once, on the loop.
    func send<Request: KafkaRequestMessage>(
        _ request: Request, to target: Target, lane: Lane = .general, timeoutMilliseconds: Int64? = nil,
        completion: @escaping (Result<Request.Response, ClientError>) -> Void
    ) {
        guard let link = link(to: target, lane: lane) else {
            return completion(.failure(unknownTarget(target, Request.apiKey.name)))
        }
        let timeout = timeoutMilliseconds ?? settings.requestTimeoutMilliseconds
        link.send(request, timeoutMilliseconds: timeout) { result in
            if case .failure(let error) = result, error.code == .unreachable { self.bootstrapTurn += 1 }
            completion(result)
        }
    }

    /// Sends a request that has no answer.
    func sendOneWay<Request: KafkaRequestMessage>(
        _ request: Request, to target: Target, completion: @escaping (Result<Void, ClientError>) -> Void
    ) {
        guard let link = link(to: target, lane: .general) else {
            return completion(.failure(unknownTarget(target, Request.apiKey.name)))
        }
        link.sendOneWay(request, completion: completion)
    }

    /// Closes every connection; later requests fail.
    func close() {
        isClosed = true
        for link in links.values { link.close() }
        links = [:]
    }

    private func link(to target: Target, lane: Lane) -> BrokerLink? {
        guard !isClosed, let address = address(of: target) else { return nil }
        let key = LinkKey(address: address, lane: lane)
        if let link = links[key] { return link }
        let link = BrokerLink(address: address, settings: settings, eventLoop: eventLoop)
        links[key] = link
        return link
    }

    /// Where to reach `target` now.
    ///
    /// Without metadata the bootstrap list is gone through in turn.
    private func address(of target: Target) -> BrokerAddress? {
        switch target {
        case .node(let node): return metadata.address(of: node)
        case .controller:
            if let controller = metadata.controller, let address = metadata.address(of: controller) { return address }
        case .any: break
        }
        let known = settings.bootstrap + metadata.brokers.map(\.address).filter { !settings.bootstrap.contains($0) }
        // A broker that already answered is the first choice.
        if let ready = known.first(where: { links[LinkKey(address: $0, lane: .general)]?.isReady == true }) {
            return ready
        }
        return known[bootstrapTurn % known.count]
    }

    private func unknownTarget(_ target: Target, _ attempted: String) -> ClientError {
        if isClosed { return ClientError(.closed, attempted: attempted, place: "this client") }
        return ClientError(.unreachable, attempted: attempted, place: "\(target)", detail: "the broker is not known")
    }

    // MARK: Metadata

    /// Asks for the metadata of `topics` (nil: all of them) once.
    ///
    /// `completion` runs once, on the loop.
    func fetchMetadata(topics: [String]?, mayCreate: Bool, completion: @escaping MetadataCompletion) {
        let request = MetadataRequest(
            topics: topics?.map { MetadataRequest.Topic(name: $0) }, allowAutoTopicCreation: mayCreate)
        send(request, to: .any) { result in
            switch result {
            case .failure(let error): completion(.failure(error))
            case .success(let response):
                self.metadata.update(with: response, isComplete: topics == nil)
                completion(.success(self.metadata))
            }
        }
    }

    /// Refreshes the metadata of `topics`, together with every other call that comes while a refresh runs.
    ///
    /// - Parameter waiter: Runs when a refresh that began after this call has ended, with whatever it found.
    func refresh(topics: [String], waiter: @escaping MetadataCompletion) {
        refreshTopics.formUnion(topics)
        refreshWaiters.append(waiter)
        runRefresh()
    }

    private func runRefresh() {
        guard !refreshIsRunning, !refreshWaiters.isEmpty else { return }
        refreshIsRunning = true
        let topics = refreshTopics.sorted()
        let waiters = refreshWaiters
        refreshTopics = []
        refreshWaiters = []
        fetchMetadata(topics: topics, mayCreate: false) { result in
            self.refreshIsRunning = false
            for waiter in waiters { waiter(result) }
            self.runRefresh()
        }
    }
}
