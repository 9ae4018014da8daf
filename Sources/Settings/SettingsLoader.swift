// SPDX-License-Identifier: Apache-2.0
//
// SettingsLoader.swift
// Puts the layers on top of each other: default, file, environment, command line.

import Foundation

/// Reads configuration from all its places.
public enum SettingsLoader {
    /// One value in one layer, before it is parsed.
    struct RawValue: Sendable {
        let key: String
        let text: String
        let origin: SettingOrigin
    }

    /// What all environment variables with settings begin with; the section and the key follow, `__` between them.
    public static let environmentPrefix = "GOULETTE_"

    /// Reads the file at `path`, when there is one, and puts the other layers on it.
    ///
    /// `commandLine` holds keys by their full name (`storage.directory`) with their text.
    public static func load(
        path: String?, environment: [String: String] = [:], commandLine: [(key: String, value: String)] = []
    ) throws(SettingsError) -> ResolvedSettings {
        guard let path else {
            return try resolve(yaml: nil, environment: environment, commandLine: commandLine)
        }
        let text: String
        do {
            text = try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw .unreadable(path: path, reason: error.localizedDescription)
        }
        return try resolve(yaml: (path, text), environment: environment, commandLine: commandLine)
    }

    /// Puts the layers together; `yaml` is the file's name, for messages, and its text.
    public static func resolve(
        yaml: (path: String, text: String)?, environment: [String: String] = [:],
        commandLine: [(key: String, value: String)] = []
    ) throws(SettingsError) -> ResolvedSettings {
        var problems: [SettingsProblem] = []
        var raw: [RawValue] = []
        if let yaml { raw += SettingsFile.values(path: yaml.path, text: yaml.text, problems: &problems) }
        raw += environmentValues(environment)
        raw += commandLine.map {
            RawValue(key: $0.key, text: $0.value, origin: .commandLine(option: $0.key))
        }
        var settings = ResolvedSettings.defaults
        for value in raw {
            guard let definition = Catalogue.definition(value.key) else {
                problems.append(.init(origin: value.origin, message: unknown(value.key)))
                continue
            }
            do throws(SettingValueError) {
                let parsed = try definition.type.parse(value.text)
                settings.set(definition, .init(value: parsed, text: value.text, origin: value.origin))
            } catch {
                let message = "\(definition.name): \"\(value.text)\" \(error.reason)"
                problems.append(.init(origin: value.origin, message: message))
            }
        }
        if problems.isEmpty { problems = settings.contradictions() }
        guard problems.isEmpty else { throw .problems(problems) }
        return settings
    }

    /// The sentence for a key that does not exist.
    static func unknown(_ key: String) -> String {
        let names = Catalogue.all.map(\.name)
        if Catalogue.sections.contains(where: { $0.name == key }) {
            return "\(key) is a section; its keys stand below it, indented"
        }
        let inSection = Spelling.nearest(to: key, among: names)
        let elsewhere = Catalogue.all.first { $0.key == key.split(separator: ".").last.map(String.init) }?.name
        guard let suggestion = inSection ?? elsewhere else { return "unknown key \(key)" }
        return "unknown key \(key); did you mean \(suggestion)?"
    }

    /// Variables without `__` are not settings: `GOULETTE_CONFIG` names the file, others may belong to tools.
    private static func environmentValues(_ environment: [String: String]) -> [RawValue] {
        environment.sorted { $0.key < $1.key }.compactMap { name, text in
            guard name.hasPrefix(environmentPrefix) else { return nil }
            let parts = name.dropFirst(environmentPrefix.count).components(separatedBy: "__")
            guard parts.count > 1 else { return nil }
            let key = parts.joined(separator: ".").lowercased()
            return RawValue(key: key, text: text, origin: .environment(name: name))
        }
    }
}
