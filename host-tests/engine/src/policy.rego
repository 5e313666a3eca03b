package ingress

import rego.v1

default allow := false

# A job may read a project that it belongs to, or whose allowlist names its own.
allow if {
	input.method == "GET"
	job := data.jobs[input.token]
	segments := split(input.path, "/")
	array.slice(segments, 1, 4) == ["api", "v4", "projects"]
	admits(data.projects[segments[4]], job.project)
}

admits(project, origin) if project.path == origin

admits(project, origin) if origin in project.allowlist
