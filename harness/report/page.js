/* Draws the charts of a comparison with Chart.js (3 or 4) from the element "data", which curves.c
 * describes. Strings of the data go into canvases and textContent only, never into HTML.
 *
 * When all is drawn it looks at what it drew and says so in attributes: of each figure data-points
 * (numbers in its curves), data-ink-a and data-ink-b (pixels within the axes in either colour; of the
 * stages: data-ink); of the root element data-charts (figures with curves), data-ready. Tests read
 * them. */
'use strict';
(() => {
const data = JSON.parse(document.getElementById('data').textContent);
const root = document.documentElement;
const CHARTS = [
    {id: 'in_time', unit: 'orders/s'},
    {id: 'throughput', unit: 'orders/s'},
    {id: 'latency', unit: 'ms', log: true, dashed: 'p50'},
    {id: 'reads', unit: 'ms', log: true},
    {id: 'sessions', unit: 'sessions', dashed: 'sessions'},
    {id: 'queue', unit: 'requests', dashed: 'pool'},
    {id: 'age', unit: 'ms'},
];
/* Waits are warm, work is cool. "other" is what no stage accounts for. */
const STAGES = [
    ['queue_wait', 'queue', '#e69f00'], ['pool_wait', 'wait for a connection', '#f0e442'],
    ['lock_wait', 'wait for the row', '#cc4c4c'], ['statements', 'statements', '#56b4e9'],
    ['commit', 'commit', '#0072b2'], ['validation', 'validation', '#009e73'],
    ['reply', 'reply', '#9b7fc4'], ['other', 'other', '#999999'],
];
const AXIS_WIDTH = 62, MARKED_POINTS = 40, NAME_MAX = 18, INK_DISTANCE = 40, INK_OPAQUE = 200;
let charts = [];

const colour = name => getComputedStyle(root).getPropertyValue('--' + name).trim();
const short = text => text.length > NAME_MAX ? text.slice(0, NAME_MAX - 1) + '\u2026' : text;
const fine = value => String(Number(value.toPrecision(3)));

function dataset(chart, curve) {
    const ink = curve.key === 'offered' ? colour('quiet') : colour(curve.arm);
    const dashed = curve.key === chart.dashed;
    const name = curve.key === 'offered' ? 'planned' : data.names[curve.arm] + ', ' + curve.key;
    return {
        label: curve.shown ? name : name + ', round ' + curve.round,
        data: curve.points.filter(p => !chart.log || p[1] === null || p[1] > 0).map(p => ({x: p[0], y: p[1]})),
        borderColor: curve.shown ? ink : ink + '59', backgroundColor: ink,
        borderWidth: !curve.shown ? 1 : curve.key === 'offered' || dashed ? 1.5 : 2.5,
        borderDash: dashed ? [5, 4] : [],
        stepped: curve.key === 'offered' ? 'before' : false,
        pointRadius: curve.shown && !dashed && curve.key !== 'offered' && curve.points.length <= MARKED_POINTS ? 2.5 : 0,
        pointHitRadius: 6, spanGaps: false, order: curve.shown ? 1 : 2,
    };
}

/* Faults are shaded behind the curves; the load's steps are marked and named. */
const scenery = {
    id: 'scenery',
    beforeDatasetsDraw(chart) {
        const {ctx, chartArea: area, scales: {x}} = chart;
        ctx.save();
        ctx.beginPath();
        ctx.rect(area.left, area.top, area.right - area.left, area.bottom - area.top);
        ctx.clip();
        ctx.fillStyle = colour('fault');
        for (const fault of data.faults) {
            const left = x.getPixelForValue(fault.from);
            ctx.fillRect(left, area.top, x.getPixelForValue(fault.to) - left, area.bottom - area.top);
        }
        ctx.strokeStyle = ctx.fillStyle = colour('quiet');
        ctx.lineWidth = 1;
        ctx.setLineDash([2, 3]);
        for (const part of data.parts.concat({from: data.seconds, label: ''})) {
            const at = Math.round(x.getPixelForValue(part.from)) + 0.5;
            ctx.beginPath();
            ctx.moveTo(at, area.top);
            ctx.lineTo(at, area.bottom);
            ctx.stroke();
        }
        ctx.restore();
    },
    afterDatasetsDraw(chart) {
        const {ctx, chartArea: area, scales: {x}} = chart;
        ctx.save();
        ctx.fillStyle = colour('quiet');
        ctx.font = '12px system-ui, sans-serif';
        ctx.textBaseline = 'bottom';
        const labels = data.parts.map(part => [part.from, part.label]);
        for (const [from, label] of labels.concat(data.seconds < x.max ? [[data.seconds, 'after it']] : [])) {
            ctx.fillText(short(label), x.getPixelForValue(from) + 2, area.top - 3);
        }
        ctx.restore();
    },
};

function tick(value) {
    const digit = Number(value.toExponential()[0]);
    const plain = Math.abs(value / Math.pow(10, Math.floor(Math.log10(value) + 1e-9)) - digit) < 1e-6;
    return plain && (digit === 1 || digit === 3) ? fine(value) : null;
}

function axes(chart, until) {
    const text = {color: colour('quiet'), font: {size: 12}};
    const y = {
        type: chart.log ? 'logarithmic' : 'linear', beginAtZero: !chart.log,
        grid: {color: colour('rule'), drawTicks: false}, border: {display: false},
        title: {display: true, text: chart.unit, ...text},
        ticks: {...text, padding: 4, maxTicksLimit: chart.log ? 40 : 6, precision: chart.log ? undefined : 0},
        afterFit: scale => { scale.width = AXIS_WIDTH; },
    };
    if (chart.log) {
        y.ticks.callback = tick;
    } else {
        y.suggestedMax = 5;
    }
    return {
        x: {
            type: 'linear', min: 0, max: until, grid: {display: false},
            title: {display: true, text: 'seconds since the start of the round', ...text},
            ticks: {...text, stepSize: until > 20 ? undefined : 1, maxRotation: 0, autoSkip: true, autoSkipPadding: 12,
                callback: value => Number.isInteger(value) ? String(value) : null},
        },
        y,
    };
}

function drawCurves(chart, until) {
    const curves = data.curves.filter(curve => curve.chart === chart.id);
    const figure = document.getElementById(chart.id);
    const own = curves.filter(curve => curve.key !== 'offered');
    figure.dataset.points = own.reduce((n, curve) => n + curve.points.filter(p => p[1] !== null).length, 0);
    figure.classList.toggle('nothing', own.length === 0);
    if (own.length === 0) {
        return;
    }
    charts.push([figure, new Chart(figure.querySelector('canvas'), {
        type: 'line',
        data: {datasets: curves.map(curve => dataset(chart, curve))},
        options: {
            animation: false, responsive: true, maintainAspectRatio: false, parsing: false, normalized: true,
            layout: {padding: {top: 18, right: 8}},
            interaction: {mode: 'nearest', intersect: false},
            scales: axes(chart, until),
            plugins: {
                legend: {display: false},
                tooltip: {callbacks: {
                    title: items => items.length ? fine(items[0].parsed.x) + ' s' : '',
                    label: item => item.dataset.label + ': ' + fine(item.parsed.y) + ' ' + chart.unit,
                }},
            },
        },
        plugins: [scenery],
    })]);
}

function drawStages() {
    const figure = document.getElementById('stages');
    const arms = ['a', 'b'].filter(arm => Object.keys(data.stages[arm]).length > 0);
    const text = {color: colour('quiet'), font: {size: 12}};
    figure.dataset.points = arms.reduce((n, arm) => n + Object.keys(data.stages[arm]).length, 0);
    figure.classList.toggle('nothing', arms.length === 0);
    for (const swatch of document.querySelectorAll('.stage')) {
        swatch.style.backgroundColor = (STAGES.find(stage => stage[0] === swatch.dataset.stage) || STAGES[STAGES.length - 1])[2];
    }
    if (arms.length === 0) {
        return;
    }
    charts.push([figure, new Chart(figure.querySelector('canvas'), {
        type: 'bar',
        data: {
            labels: arms.map(arm => short(data.names[arm])),
            datasets: STAGES.map(([key, name, ink]) => ({
                label: name, backgroundColor: ink, borderColor: colour('paper'), borderWidth: 0.5, maxBarThickness: 34,
                data: arms.map(arm => data.stages[arm][key] || 0),
            })),
        },
        options: {
            indexAxis: 'y', animation: false, responsive: true, maintainAspectRatio: false,
            scales: {
                x: {stacked: true, beginAtZero: true, grid: {color: colour('rule')}, ticks: {...text, maxTicksLimit: 8},
                    title: {display: true, text: 'ms per request of POST /orders', ...text}},
                y: {stacked: true, grid: {display: false},
                    ticks: {color: item => colour(arms[item.index] || 'ink'), font: {size: 13}}},
            },
            plugins: {
                legend: {display: false},
                tooltip: {callbacks: {label: item => item.dataset.label + ': ' + fine(item.parsed.x) + ' ms'}},
            },
        },
    })]);
}

function draw() {
    charts.forEach(([, chart]) => chart.destroy());
    charts = [];
    const last = data.curves.reduce((most, curve) => Math.max(most, ...curve.points.map(p => p[0])), data.seconds);
    const until = Math.ceil(last);
    Chart.defaults.font.family = 'system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif';
    CHARTS.forEach(chart => drawCurves(chart, until));
    drawStages();
}

/* How many pixels within the axes have about each of these colours. */
function inks(chart, hexes) {
    const area = chart.chartArea, ratio = chart.currentDevicePixelRatio;
    const pixels = chart.ctx.getImageData(area.left * ratio, area.top * ratio,
        Math.max(1, (area.right - area.left) * ratio), Math.max(1, (area.bottom - area.top) * ratio)).data;
    return hexes.map(hex => {
        const wanted = [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16));
        let n = 0;
        for (let i = 0; i < pixels.length; i += 4) {
            const far = Math.max(...wanted.map((value, j) => Math.abs(pixels[i + j] - value)));
            n += pixels[i + 3] > INK_OPAQUE && far < INK_DISTANCE ? 1 : 0;
        }
        return n;
    });
}

function inspect() {
    for (const [figure, chart] of charts) {
        if (figure.id === 'stages') {
            figure.dataset.ink = inks(chart, STAGES.map(stage => stage[2])).reduce((sum, n) => sum + n, 0);
        } else {
            [figure.dataset.inkA, figure.dataset.inkB] = inks(chart, [colour('a'), colour('b')]);
        }
    }
    root.dataset.charts = charts.length;
    root.dataset.ready = '1';
}

function paper(on) {
    root.classList.toggle('paper', on);
    draw();
}

draw();
inspect();
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
addEventListener('beforeprint', () => paper(true));
addEventListener('afterprint', () => paper(false));
})();
