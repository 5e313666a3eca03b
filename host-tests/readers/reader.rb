# Rack, ActionPack and Grape behind Puma. Answers each request with the credentials that they find in it, as JSON.
# How a place is read is theirs; where GitLab looks is written down here.

require "action_controller"
require "grape"
require "jwt"
require "puma"
require "puma/server"

KEY = ARGV.fetch(0)
NAMES = %w[job_token token access_token bearer_token private_token password refresh_token].freeze
HEADERS = %w[HTTP_JOB_TOKEN HTTP_PRIVATE_TOKEN HTTP_DEPLOY_TOKEN HTTP_X_NUGET_APIKEY HTTP_AUTHORIZATION].freeze
Basic = ActionController::HttpAuthentication::Basic
Token = ActionController::HttpAuthentication::Token

# What a reader cannot read, it answers with an error: nothing is found there.
def attempt
  yield
rescue StandardError
  nil
end

def texts(value)
  case value
  when Hash then value.values.flat_map { |one| texts(one) }
  when Array then value.flat_map { |one| texts(one) }
  else [value.to_s]
  end
end

def named(place, params)
  user = params["username"].to_s
  NAMES.flat_map { |name| texts(params[name]).map { |text| [place, name == "password" ? user : name, text] } }
end

# What Doorkeeper takes for a token, without looking at parameters.
def bearer(request)
  header = request.authorization
  header&.match?(/^Bearer /i) ? header.gsub(/^Bearer /i, "") : nil
end

def in_head(request)
  found = HEADERS.map { |name| ["header", name, request.env[name].to_s] }
  found << ["bearer", "", attempt { bearer(request) }.to_s]
  found << ["bearer", "", attempt { request.authorization.to_s.split("Bearer ").last }.to_s]
  found << ["bearer", "", attempt { request.authorization.to_s.split.last }.to_s]
  found << ["token", "", attempt { Token.token_and_options(request)&.first }.to_s]
  # GitLab's package routes do not look at the scheme.
  login = attempt { Basic.user_name_and_password(request) }
  place = attempt { Basic.has_basic_credentials?(request) } ? "basic" : "basic in any scheme"
  found << [place, login[0].to_s, login[1].to_s] if login
  found + named("query", attempt { Rack::Request.new(request.env).GET } || {})
end

# GitLab asks about a person's token before any `job_token`, and answers 401 where it is not valid. Before that it asks whether
# what Doorkeeper finds is a job's.
def decisive(request, params)
  param = ->(name) { params[name].presence }
  oauth = param["access_token"] || attempt { bearer(request) }.presence || param["bearer_token"]
  return false if oauth.to_s.start_with?("glcbt-")

  token = param["private_token"] || request.env["HTTP_PRIVATE_TOKEN"].presence || oauth
  !token.nil? && !token.to_s.start_with?("glcbt-")
end

# One class for each way in which GitLab's set up what a body without a type is.
def grape(&formats)
  Class.new(Grape::API) do
    instance_eval(&formats)
    rescue_from(:all) { |error| error!(error.message, 400) }
    seen = lambda do |endpoint|
      params = endpoint.params.to_h
      endpoint.env["seen"] = { id: params["id"].to_s, params: params }
      ""
    end
    route(:any, "api/v4/projects/:id/*rest") { seen.call(self) }
    route(:any, "*path") { seen.call(self) }
    route(:any, "/") { seen.call(self) }
  end
end

CLASSES = {
  "grape" => grape { format :json; content_type :json, "application/json" },
  "grape with default_format json" => grape do
    content_type :json, "application/json"
    content_type :txt, "text/plain"
    default_format :json
  end,
  "grape with default_format txt" => grape do
    content_type :json, "application/json"
    content_type :txt, "text/plain"
    default_format :txt
  end,
  "grape with octets" => grape do
    content_type :json, "application/json"
    content_type :binary, "application/octet-stream"
    default_format :json
  end
}.freeze

# The dependency proxy's, Conan's and Terraform's tokens have the job's inside.
def unwrapped(found)
  found.flat_map do |place, name, text|
    next [[place, name, text]] unless %w[bearer token query].include?(place)

    claims = attempt { JWT.decode(text, KEY, true, algorithm: "HS256").first } || {}
    [[place, name, text]] + texts(claims).map { |claim| ["jwt in #{place}", name, claim] }
  end
end

def reading(env)
  body = env["rack.input"].read
  fresh = -> { env.dup.tap { |copy| copy["rack.input"] = StringIO.new(body) } }
  request = ActionDispatch::Request.new(fresh.call)
  found = in_head(request)
  found += named("rails", attempt { request.params } || {})
  answer = { method: env["REQUEST_METHOD"], ids: [], decisive: false, found: found }
  CLASSES.each do |name, app|
    copy = fresh.call
    attempt { app.call(copy) }
    next unless (seen = copy["seen"])

    found.concat(named(name, seen[:params]))
    answer[:ids] |= [seen[:id]]
    answer[:decisive] ||= decisive(request, seen[:params])
  end
  found.replace(unwrapped(found).reject { |_, _, text| text.empty? }.uniq)
  answer
end

def scrubbed(value)
  case value
  when Hash then value.transform_values { |one| scrubbed(one) }
  when Array then value.map { |one| scrubbed(one) }
  when String then value.dup.force_encoding("UTF-8").scrub("?")
  else value
  end
end

app = Rack::MethodOverride.new(
  lambda do |env|
    [200, { "Content-Type" => "application/json" }, [JSON.generate(scrubbed(reading(env)))]]
  end
)

server = Puma::Server.new(app, Puma::Events.null, min_threads: 1, max_threads: 1)
puts server.add_tcp_listener("127.0.0.1", 0).addr[1]
$stdout.flush
server.run.join
