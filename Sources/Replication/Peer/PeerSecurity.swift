// SPDX-License-Identifier: Apache-2.0
//
// PeerSecurity.swift
// Mutual TLS between brokers: both sides show a certificate, and it says which broker they are.

internal import Model
internal import NIOCore
internal import NIOSSL
internal import NIOTLS

/// What connections need for TLS.
struct PeerSecurity: Sendable {
    /// What stands before the broker's id in a name of its certificate.
    static let namePrefix = "broker-"

    private let context: NIOSSLContext

    /// Reads the files.
    init(_ files: PeerTLS) throws(PeerTransportError) {
        do {
            let chain = try NIOSSLCertificate.fromPEMFile(files.certificateFile)
            let key = try NIOSSLPrivateKey(file: files.keyFile, format: .pem)
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
            configuration.trustRoots = .file(files.trustRootsFile)
            configuration.minimumTLSVersion = .tlsv13
            // Brokers are known by id, not by the name of their machine.
            configuration.certificateVerification = .noHostnameVerification
            context = try NIOSSLContext(configuration: configuration)
        } catch {
            throw .badTLS("\(error)")
        }
    }

    /// Puts TLS before what is added later.
    func secure(_ channel: any Channel, isDialer: Bool) throws {
        let pipeline = channel.pipeline.syncOperations
        if isDialer {
            try pipeline.addHandler(NIOSSLClientHandler(context: context, serverHostname: nil))
        } else {
            try pipeline.addHandler(NIOSSLServerHandler(context: context))
        }
    }

    /// Whether both sides have shown their certificates.
    func isHandshakeCompleted(_ event: Any) -> Bool {
        if case .handshakeCompleted? = event as? TLSUserEvent { true } else { false }
    }

    /// Whether an error is one of TLS.
    func isFailure(_ error: any Error) -> Bool {
        error is NIOSSLError || error is BoringSSLError
    }

    /// The brokers that the other side's certificate names.
    func brokers(namedBy context: ChannelHandlerContext) -> Set<NodeID> {
        // Without a TLS handler or a certificate nobody is named, and nobody is believed.
        guard let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate() else { return [] }
        var brokers: Set<NodeID> = []
        for name in certificate._subjectAlternativeNames() where name.nameType == .dnsName {
            if let node = Self.broker(String(decoding: name.contents, as: UTF8.self)) { brokers.insert(node) }
        }
        return brokers
    }

    /// The broker that a certificate's name stands for.
    static func broker(_ name: String) -> NodeID? {
        guard name.hasPrefix(namePrefix), let id = Int32(name.dropFirst(namePrefix.count)), id >= 0 else { return nil }
        return name == namePrefix + "\(id)" ? NodeID(rawValue: id) : nil
    }
}
