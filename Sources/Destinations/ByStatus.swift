import Delivery
import SpanModel

/// What an answer means in general (RFC 9110, section 15; DESIGN.md section 5). A type whose contract says otherwise looks first.
func byStatus(_ response: Response, to request: Request) -> Verdict {
    let status = response.status
    let detail = explanation(of: response)
    switch status {
    case 200..<300: return .delivered()
    case 300..<400:
        let target = response.headers["location"].map { " with a redirect to \(shownURL($0).prefix(200))" } ?? ""
        return .pause(reason: "redirect", detail: "\(detail)\(target); redirects are not followed, configure the new address")
    case 401: return .pause(reason: "unauthorized", detail: detail)
    case 403: return .pause(reason: "forbidden", detail: detail)
    case 404: return .pause(reason: "not_found", detail: detail)
    case 413: return request.spans.count > 1 ? .tooLarge : .refused(reason: "too_large", detail: detail)
    case 408, 425, 429, 500..<600:
        return .retry(after: retryAfter(response), detail: detail, throttle: [429, 502, 503, 504].contains(status))
    case 400..<500: return .refused(reason: "http_\(status)", detail: detail)
    default: return .retry(detail: "\(detail), which is no status of HTTP")
    }
}
