//! The picture: resident memory over time, a line for each contender.

use std::path::Path;

use plotters::prelude::*;

use crate::measure::Record;

/// Wide lines first, so that those drawn over them leave an edge where they lie on each other.
const STYLES: [(RGBColor, u32); 6] = [
    (RGBColor(150, 150, 150), 11),
    (RGBColor(213, 94, 0), 8),
    (RGBColor(86, 180, 233), 5),
    (RGBColor(240, 228, 66), 4),
    (RGBColor(204, 121, 167), 2),
    (RGBColor(0, 60, 40), 1),
];

const TEXT: (&str, i32) = ("sans-serif", 15);

pub fn draw(
    path: &Path,
    records: &[Record],
    events: &[(&'static str, f64)],
    end: f64,
) -> Result<(), Box<dyn std::error::Error>> {
    let mib = |kib: usize| kib as f64 / 1024.0;
    let peak = records.iter().flat_map(|record| &record.samples).map(|sample| mib(sample.kib)).fold(0.0, f64::max);
    let top = peak * 1.15;

    let area = SVGBackend::new(path, (900, 380)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..end, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("seconds")
        .y_desc("MiB resident")
        .y_label_formatter(&|mib| format!("{mib:.0}"))
        .label_style(TEXT)
        .axis_desc_style(TEXT)
        .draw()?;
    for (name, at) in events {
        chart.draw_series([PathElement::new([(*at, 0.0), (*at, top)], BLACK.mix(0.3))])?;
        chart.draw_series([Text::new(*name, (at + end / 200.0, top * 0.99), TEXT)])?;
    }
    for (record, (color, width)) in records.iter().zip(STYLES) {
        let style = color.stroke_width(width);
        // A point that its neighbours tell of is left out, which is most of them.
        let mut points: Vec<(f64, f64)> = Vec::new();
        for sample in &record.samples {
            let point = (sample.seconds, mib(sample.kib));
            if let [.., before, last] = points[..] {
                let flat = |other: (f64, f64)| (other.1 - point.1).abs() < peak / 1000.0;
                if flat(before) && flat(last) {
                    points.pop();
                }
            }
            points.push(point);
        }
        chart
            .draw_series(LineSeries::new(points, style))?
            .label(record.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::MiddleMiddle)
        .background_style(WHITE)
        .border_style(BLACK.mix(0.3))
        .label_font(TEXT)
        .draw()?;
    area.present()?;
    Ok(())
}
